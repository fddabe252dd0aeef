/*
 * transfer: plan layers so that updates send few bytes.
 *
 * A registry and some engines skip each layer that they have. Other engines skip only the
 * lowest layers, up to the first one that they do not have. A plan is good if an update
 * changes few bytes of layers, if few bytes are above the changed layers, and if other
 * images can use the same layers.
 */
#ifndef DT_TRANSFER_H
#define DT_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct graph;
struct plan;

/*
 * Fills the empty plan `p` with at most `limit` layers, where `limit` is 1 or more. The
 * plan minimizes the bytes that an update re-sends to both kinds of receivers, and the
 * bytes that an image with some of the same paths needs in addition. dt-plans(7)
 * describes the model and the method.
 *
 * weight[number] is the relative probability of an update of a node; it is not negative
 * and not always 0. If `weight` is NULL, all updates are equally likely. Paths in a layer
 * are in byte order.
 *
 * previous[number] is the layer of a node in an earlier plan, or PREVIOUS_NONE;
 * `previous` may be NULL. Paths of the same earlier layer stay together, earlier layers
 * keep their order, and new paths start alone, directly below the paths that depend on
 * them. If there are too many layers, those whose merge costs least are merged.
 *
 * stays[number] is whether the earlier layer of a node is unchanged; `stays` may be NULL.
 * If it is not, paths of earlier layers that have changed may move to other such layers,
 * because these layers are sent again in any case.
 *
 * Returns 0, or -1 with a cycle in `e`.
 */
int transfer_plan(const struct graph *g, size_t limit, const double *weight,
		  const uint32_t *previous, const bool *stays, struct plan *p,
		  struct err *e);

#endif
