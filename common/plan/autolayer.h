/*
 * autolayer: compute the layers that nixpkgs' auto-layer computes.
 *
 * The k largest paths are primaries. A primary has its own layer. Any other path belongs
 * to its nearest primaries: those that depend on it without another primary in between.
 * Paths with the same nearest primaries share a layer. k is the largest number for which
 * the number of layers stays within the limit.
 *
 *	if (autolayer_plan(&graph, 100, &plan, &e) < 0)
 *		die("%s", e.text);
 */
#ifndef DT_AUTOLAYER_H
#define DT_AUTOLAYER_H

#include <stddef.h>

struct err;
struct graph;
struct plan;

/*
 * Fills the empty plan `p` with at most `limit` layers; a limit below 1 counts as 1.
 * Paths in a layer are sorted by name, then by hash. Layers are sorted by the size of all
 * paths that they need, the smallest first.
 *
 * In nixpkgs, ties depend on the order of the input and on Python's hash seed. Here,
 * paths of the same size are taken in descending byte order, which is what nixpkgs does
 * with its sorted input. Layers of the same size are sorted by their first path.
 *
 * Returns 0, or -1 with a cycle in `e`.
 */
int autolayer_plan(const struct graph *g, size_t limit, struct plan *p, struct err *e);

#endif
