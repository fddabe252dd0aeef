/*
 * autolayer: the layers of nixpkgs' auto-layer.
 *
 * The k largest paths are primaries. A primary is in a layer of its own; any other path
 * is in the layer of its nearest primaries, which are those that refer to it, directly
 * or not, without another primary in between. So a layer is what just the same primaries
 * need. k is the last number before there are more layers than the limit.
 */
#ifndef DT_AUTOLAYER_H
#define DT_AUTOLAYER_H

#include <stddef.h>

struct err;
struct graph;
struct plan;

/*
 * Fills the empty plan `p` with at most `limit` layers, a limit below 1 being 1. Paths
 * in a layer are in the order of their names, equal ones by hash; layers in that of the
 * size of all that they need, the smallest first. nixpkgs leaves ties to the order of its
 * input, where paths of one size count from the last line up, and of layers to Python's
 * hash seed. Here, paths of one size count from the last in byte order (what nixpkgs
 * does too, its input being sorted), and layers are ordered by their first path.
 *
 * Returns 0, or -1 and the cycle that the references form.
 */
int autolayer_plan(const struct graph *g, size_t limit, struct plan *p, struct err *e);

#endif
