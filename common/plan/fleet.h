/*
 * fleet: plan the layers of several images together, so that the images share layers.
 *
 * Two images share a layer only if it has exactly the same paths in both. Separate plans
 * rarely have such layers.
 */
#ifndef DT_FLEET_H
#define DT_FLEET_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct graph;
struct plan;

/*
 * Plans n_images images. in[i][number] is whether image i contains a node of `all`. Fills
 * the empty plans, one for each image, with node numbers of `all`. Each image has at most
 * `limit` layers, where `limit` is 1 or more.
 *
 * The layers are chosen so that all distinct layers together take few bytes, and so that
 * few bytes are re-sent when a path is updated. `weight` and the order of paths are as
 * with transfer_plan(). Layers have the same order in all images, so that images also
 * share the chains of their layers (chain.h). Returns 0, or -1 with a cycle in `e`.
 */
int fleet_plan(const struct graph *all, const bool *const *in, size_t n_images,
	       size_t limit, const double *weight, struct plan *plans, struct err *e);

#endif
