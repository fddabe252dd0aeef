#include "relation.h"

#include "graph.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

static void edges_release(struct edges *e)
{
	free(e->first);
	free(e->to);
}

void relation_release(struct relation *r)
{
	free(r->node);
	edges_release(&r->down);
	edges_release(&r->up);
	*r = (struct relation){0};
}

/* Both directions at once; first[] counts, then sums, and is a cursor while filling. */
static void fill(struct relation *r, const struct graph *g, const uint32_t *place)
{
	size_t n_refs = 0, up = 0;

	for (size_t v = 0; v < r->n; v++)
		n_refs += g->node[v].n_refs;
	r->down.first = mem_zero(r->n + 1, sizeof *r->down.first);
	r->up.first = mem_zero(r->n + 1, sizeof *r->up.first);
	r->down.to = mem_zero(n_refs, sizeof *r->down.to);
	r->up.to = mem_zero(n_refs, sizeof *r->up.to);
	n_refs = 0;
	for (size_t v = 0; v < r->n; v++) {
		const struct graph_node *node = &g->node[r->node[v]];
		r->down.first[v] = n_refs;
		for (size_t i = 0; i < node->n_refs; i++) {
			uint32_t to = place[node->refs[i]];
			r->down.to[n_refs++] = to;
			r->up.first[to]++;
		}
	}
	r->down.first[r->n] = n_refs;
	for (size_t v = 0; v <= r->n; v++) {
		size_t count = r->up.first[v];
		r->up.first[v] = up;
		up += count;
	}
	for (size_t v = 0; v < r->n; v++)
		for (size_t i = r->down.first[v]; i < r->down.first[v + 1]; i++)
			r->up.to[r->up.first[r->down.to[i]]++] = (uint32_t)v;
	memmove(r->up.first + 1, r->up.first, r->n * sizeof *r->up.first);
	r->up.first[0] = 0;
}

int relation_init(struct relation *r, const struct graph *g, struct err *e)
{
	*r = (struct relation){.n = g->paths.n};
	r->node = mem_zero(r->n, sizeof *r->node);
	if (graph_sort(g, r->node, e) < 0)
		return -1;
	uint32_t *place = mem_zero(r->n, sizeof *place);
	for (size_t v = 0; v < r->n; v++)
		place[r->node[v]] = (uint32_t)v;
	fill(r, g, place);
	free(place);
	return 0;
}

void mark_init(struct mark *m, size_t n)
{
	*m = (struct mark){.now = 1};
	m->at = mem_zero(n, sizeof *m->at);
	m->list = mem_zero(n, sizeof *m->list);
}

void mark_release(struct mark *m)
{
	free(m->at);
	free(m->list);
	*m = (struct mark){0};
}

void mark_clear(struct mark *m)
{
	m->n = 0;
	m->now++;
}

bool mark_has(const struct mark *m, uint32_t place)
{
	return m->at[place] == m->now;
}

void mark_put(struct mark *m, uint32_t place)
{
	if (m->at[place] == m->now)
		return;
	m->at[place] = m->now;
	m->list[m->n++] = place;
}

void mark_reach(struct mark *m, const struct edges *edges, uint32_t place)
{
	size_t next = m->n;

	mark_put(m, place);
	for (; next < m->n; next++) {
		uint32_t at = m->list[next];
		for (size_t i = edges->first[at]; i < edges->first[at + 1]; i++)
			mark_put(m, edges->to[i]);
	}
}
