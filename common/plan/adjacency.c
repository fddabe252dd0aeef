#include "plan/adjacency.h"

#include "base/mem.h"
#include "store/graph.h"

#include <stdlib.h>

void adjacency_release(struct adjacency *r)
{
	free(r->node);
	edges_release(&r->down);
	edges_release(&r->up);
	*r = (struct adjacency){0};
}

static void fill(struct adjacency *r, const struct graph *g, const uint32_t *place)
{
	edges_init(&r->down, r->n);
	edges_init(&r->up, r->n);
	for (size_t v = 0; v < r->n; v++) {
		const struct graph_node *node = &g->node[r->node[v]];
		edges_count(&r->down, (uint32_t)v, node->n_refs);
		for (size_t i = 0; i < node->n_refs; i++)
			edges_count(&r->up, place[node->refs[i]], 1);
	}
	edges_begin(&r->down);
	edges_begin(&r->up);
	for (size_t v = 0; v < r->n; v++) {
		const struct graph_node *node = &g->node[r->node[v]];
		for (size_t i = 0; i < node->n_refs; i++) {
			uint32_t to = place[node->refs[i]];
			edges_add(&r->down, (uint32_t)v, to);
			edges_add(&r->up, to, (uint32_t)v);
		}
	}
}

int adjacency_init(struct adjacency *r, const struct graph *g, struct err *e)
{
	*r = (struct adjacency){.n = g->paths.n};
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

void adjacency_mark_init(struct adjacency_mark *m, size_t n)
{
	*m = (struct adjacency_mark){.now = 1};
	m->at = mem_zero(n, sizeof *m->at);
	m->list = mem_zero(n, sizeof *m->list);
}

void adjacency_mark_release(struct adjacency_mark *m)
{
	free(m->at);
	free(m->list);
	*m = (struct adjacency_mark){0};
}

void adjacency_mark_clear(struct adjacency_mark *m)
{
	m->n = 0;
	m->now++;
}

bool adjacency_mark_has(const struct adjacency_mark *m, uint32_t place)
{
	return m->at[place] == m->now;
}

void adjacency_mark_put(struct adjacency_mark *m, uint32_t place)
{
	if (m->at[place] == m->now)
		return;
	m->at[place] = m->now;
	m->list[m->n++] = place;
}

void adjacency_mark_reach(struct adjacency_mark *m, const struct edges *edges,
			  uint32_t place)
{
	size_t next = m->n;

	adjacency_mark_put(m, place);
	for (; next < m->n; next++) {
		uint32_t at = m->list[next];
		for (size_t i = edges->first[at]; i < edges->first[at + 1]; i++)
			adjacency_mark_put(m, edges->to[i]);
	}
}
