/*
 * adjacency: who refers to whom in a graph, in both directions.
 *
 * Nodes go by their place in the canonical order, references before their referrers, so
 * that one pass over the places is a pass along or against the references, and nothing
 * depends on the order in which lines came in.
 */
#ifndef DT_ADJACENCY_H
#define DT_ADJACENCY_H

#include "base/edges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct graph;

struct adjacency {
	size_t n;
	uint32_t *node;        /* place -> number in the graph */
	struct edges down, up; /* references, of smaller places; referrers, of larger */
};

/* Returns 0, or -1 and the cycle; release it in either case. */
int adjacency_init(struct adjacency *r, const struct graph *g, struct err *e);
void adjacency_release(struct adjacency *r);

/* A set of places that is cheap to empty. */
struct mark {
	uint32_t *at; /* of place v: in the set if it is `now` */
	uint32_t now;
	uint32_t *list; /* the n places of the set, in the order in which they came */
	size_t n;
};

/* A set for the places below `n`, empty. */
void mark_init(struct mark *m, size_t n);
void mark_release(struct mark *m);
void mark_clear(struct mark *m);

/* Whether the place is in the set. */
bool mark_has(const struct mark *m, uint32_t place);

void mark_put(struct mark *m, uint32_t place);

/* Adds the place and all that the edges lead to from it, if it is not yet in the set. */
void mark_reach(struct mark *m, const struct edges *edges, uint32_t place);

#endif
