/*
 * popularity: sort paths by how much of a closure depends on them.
 *
 * Popular paths such as libc are in many images, so each should have its own layer. The
 * score is that of nixpkgs' references-by-popularity. So the order is the same in which
 * dockerTools gives paths their own layers.
 *
 * The score of a path is a sum over the path and all paths that depend on it. Each adds
 * the number of different reference chains that lead to it from a root, a path that
 * nothing refers to.
 */
#ifndef DT_POPULARITY_H
#define DT_POPULARITY_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct graph;
struct plan;

/*
 * Writes the numbers of all nodes of `g` to `order`, the highest score first. Equal
 * scores are sorted by name, then by directory and hash ("bash-5.2-/nix/store/HASH"), in
 * byte order. Scores are exact, however large they are. Memory is linear in the size of
 * the graph.
 *
 * Appends a line "SCORE PATH" for each node to `scores`, in the same order; `scores` may
 * be NULL. Returns 0, or -1 with a cycle in `e`.
 */
int popularity_order(const struct graph *g, uint32_t *order, struct buf *scores,
		     struct err *e);

/*
 * Fills the empty plan `p` with at most `limit` layers, where `limit` is 1 or more. The
 * first `limit` - 1 paths in that order have their own layer, and the other paths share
 * the last layer. Returns 0, or -1 with a cycle in `e`.
 */
int popularity_plan(const struct graph *g, size_t limit, struct plan *p, struct err *e);

#endif
