/*
 * fleet: plans of several images that share layers.
 */
#ifndef DT_FLEET_H
#define DT_FLEET_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct graph;
struct plan;

/*
 * Plans the images together: in[i][number] tells whether image i holds a node of `all`.
 * Fills the empty plans, one an image, with numbers of `all`: at most `limit` layers (1
 * or more) each, such that all distinct layers together take few bytes, and of those with
 * few, such that little is re-sent when a path is updated. `weight` and the order of
 * layers and paths are as with transfer_plan(). Returns 0, or -1 and the cycle.
 */
int fleet_plan(const struct graph *all, const bool *const *in, size_t n_images,
	       size_t limit, const double *weight, struct plan *plans, struct err *e);

#endif
