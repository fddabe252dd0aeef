/*
 * edges: adjacency lists.
 *
 * Edges are counted, then added:
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

/* Edges of node v: to[first[v]] up to to[first[v + 1] - 1], in the order of adding. */
struct edges {
	size_t n; /* nodes */
	size_t *first;
	uint32_t *to;
};

void edges_init(struct edges *e, size_t n);
void edges_release(struct edges *e);

/* Announces `k` more edges of node `from`. */
void edges_count(struct edges *e, uint32_t from, size_t k);

/* All edges were counted. */
void edges_begin(struct edges *e);

void edges_add(struct edges *e, uint32_t from, uint32_t to);

#endif
