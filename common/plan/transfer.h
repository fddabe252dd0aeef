/*
 * transfer: plan layers so that updates send few bytes.
 *
 * A registry and a machine that pulls an image skip layers that they have. A plan is good
 * if an update changes few bytes of layers, and if other images can use the same layers.
 */
#ifndef DT_TRANSFER_H
#define DT_TRANSFER_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct graph;
struct plan;

/*
 * Fills the empty plan `p` with at most `limit` layers, where `limit` is 1 or more. The
 * plan minimizes the bytes that an update re-sends, and the bytes that an image with some
 * of the same paths needs in addition. dt-plans(7) describes the model and the method.
 *
 * weight[number] is the relative probability of an update of a node; it is not negative
 * and not always 0. If `weight` is NULL, all updates are equally likely. Layers are
 * sorted by the probability that an update changes them, the least likely first. Paths in
 * a layer are in byte order.
 *
 * previous[number] is the layer of a node in an earlier plan, or PREVIOUS_NONE;
 * `previous` may be NULL. Paths of the same earlier layer stay together, and new paths
 * start alone. If there are too many layers, those whose merge costs least are merged.
 *
 * Returns 0, or -1 with a cycle in `e`.
 */
int transfer_plan(const struct graph *g, size_t limit, const double *weight,
		  const uint32_t *previous, struct plan *p, struct err *e);

#endif
