/*
 * ordering: a plan of groups of kin, in the order of all such plans.
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
 * Fills the empty plan `p`: atom i of `k` is in the layer group[i], a number below k->n.
 * Layers are in the order of the chance that an update changes them, the least first,
 * equal ones by name; the paths of a layer in byte order. Leaves out nodes of `g` for
 * which in[number] is false; `in` may be NULL.
 */
void ordering_plan(const struct graph *g, const struct adjacency *r,
		   const struct affinity *k, const uint32_t *group, const bool *in,
		   struct plan *p);

#endif
