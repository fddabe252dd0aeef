/*
 * transfer: layers that make updates small.
 */
#ifndef DT_TRANSFER_H
#define DT_TRANSFER_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct graph;
struct plan;

/*
 * Fills the empty plan `p` with at most `limit` layers (1 or more) such that few bytes
 * are re-sent when a path is updated, and few more are sent for an image that holds some
 * of the same paths. dt-plans(7) has the model and the method.
 *
 * weight[number] is how likely an update of a node is, 0 or more, of which one is more;
 * NULL if all are as likely. Layers are in the order of what is to be re-sent of them, as
 * a share of their size, the least first; paths within a layer in byte order.
 *
 * previous[number] is a node's layer in a plan before, or PREVIOUS_NONE; what was in one
 * layer stays in one, new paths go where they cost least, and layers are merged if there
 * are too many. `previous` may be NULL.
 *
 * Returns 0, or -1 and the cycle that the references form.
 */
int transfer_plan(const struct graph *g, size_t limit, const double *weight,
		  const uint32_t *previous, struct plan *p, struct err *e);

#endif
