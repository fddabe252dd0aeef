/*
 * ordering: turn groups of atoms into a plan with a fixed order of layers.
 *
 * The order makes plans reproducible.
 */
#ifndef DT_ORDERING_H
#define DT_ORDERING_H

#include <stdbool.h>
#include <stdint.h>

struct graph;
struct affinity;
struct plan;
struct adjacency;

/*
 * Fills the empty plan `p`. Atom i of `k` is in the layer group[i], a number below k->n.
 * Layers are sorted by this number, the lowest first. Paths in a layer are in byte order.
 * Nodes of `g` for which in[number] is false are left out; `in` may be NULL.
 */
void ordering_plan(const struct graph *g, const struct adjacency *r,
		   const struct affinity *k, const uint32_t *group, const bool *in,
		   struct plan *p);

#endif
