#include "base/edges.h"

#include "base/mem.h"

#include <stdlib.h>

/*
 * While edges are added, first[v + 1] is the place of the next edge of v. At the end it
 * is the place after the last edge of v, which is where the edges of v + 1 start. So the
 * array needs no conversion.
 */
void edges_init(struct edges *e, size_t n)
{
	*e = (struct edges){.n = n, .first = mem_zero(n + 2, sizeof *e->first)};
}

void edges_release(struct edges *e)
{
	free(e->first);
	free(e->to);
	*e = (struct edges){0};
}

void edges_count(struct edges *e, uint32_t from, size_t k)
{
	e->first[(size_t)from + 2] += k;
}

void edges_begin(struct edges *e)
{
	for (size_t i = 2; i < e->n + 2; i++)
		e->first[i] += e->first[i - 1];
	e->to = mem_zero(e->first[e->n + 1], sizeof *e->to);
}

void edges_add(struct edges *e, uint32_t from, uint32_t to)
{
	e->to[e->first[(size_t)from + 1]++] = to;
}
