/*
 * edges: a directed graph as compact adjacency lists.
 *
 * Nodes are numbers from 0. All edges share one array (compressed sparse row), so a graph
 * with millions of edges needs only two allocations. Callers go over the edges twice,
 * first to count and then to add them:
 *
 *	edges_init(&e, n);
 *	for each edge: edges_count(&e, from, 1);
 *	edges_begin(&e);
 *	for each edge: edges_add(&e, from, to);
 */
#ifndef DT_EDGES_H
#define DT_EDGES_H

#include <stddef.h>
#include <stdint.h>

/*
 * The edges of node v are to[first[v]] up to to[first[v + 1] - 1], in the order in which
 * they were added.
 */
struct edges {
	size_t n; /* number of nodes */
	size_t *first;
	uint32_t *to;
};

void edges_init(struct edges *e, size_t n);
void edges_release(struct edges *e);

/* Counts `k` more edges that start at node `from`. */
void edges_count(struct edges *e, uint32_t from, size_t k);

/* Ends the counting and allocates the edges. */
void edges_begin(struct edges *e);

void edges_add(struct edges *e, uint32_t from, uint32_t to);

#endif
