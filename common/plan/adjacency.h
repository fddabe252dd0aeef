/*
 * adjacency: the references and the referrers of each node of a graph.
 *
 * A graph stores only references. Planning also needs the opposite direction, and an
 * order of the nodes:
 *
 *	struct adjacency r;
 *	if (adjacency_init(&r, &graph, &e) == 0)
 *		adjacency_mark_reach(&m, &r.up, place);  all that depends on it
 *	adjacency_release(&r);
 *
 * A node is identified by its place in the canonical order, where references come before
 * their referrers. So one loop over the places follows the references or the referrers.
 * Results do not depend on the order of lines in the input.
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
	uint32_t *node; /* number in the graph of each place */
	/* References, which have lower places; referrers, which have higher places. */
	struct edges down, up;
};

/* Returns 0, or -1 with a cycle in `e`. The caller releases `r` in both cases. */
int adjacency_init(struct adjacency *r, const struct graph *g, struct err *e);
void adjacency_release(struct adjacency *r);

/* A set of places that can be emptied in constant time. */
struct adjacency_mark {
	uint32_t *at; /* place v is in the set if at[v] is `now` */
	uint32_t now;
	uint32_t *list; /* the n places of the set, in the order of addition */
	size_t n;
};

/* Initializes an empty set for places below `n`. */
void adjacency_mark_init(struct adjacency_mark *m, size_t n);
void adjacency_mark_release(struct adjacency_mark *m);
void adjacency_mark_clear(struct adjacency_mark *m);

/* Returns whether the place is in the set. */
bool adjacency_mark_has(const struct adjacency_mark *m, uint32_t place);

void adjacency_mark_put(struct adjacency_mark *m, uint32_t place);

/*
 * Adds the place and all places that can be reached from it. Does nothing if the set
 * contains the place. All other places in the set must have been added with the same
 * edges.
 */
void adjacency_mark_reach(struct adjacency_mark *m, const struct edges *edges,
			  uint32_t place);

#endif
