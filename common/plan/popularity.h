/*
 * popularity: which paths most of a closure leans on.
 *
 * A path's score is the sum, over itself and all that refer to it, directly or not, of
 * the number of ways that lead from a root (what nothing refers to) down to each. It is
 * what nixpkgs' references-by-popularity counts, so the order is the one in which
 * dockerTools gives paths a layer of their own.
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
 * Writes the numbers of all nodes of `g` to `order`: by score, the highest first; equal
 * ones by name, then by what is in front of it ("bash-5.2-/nix/store/HASH"), in byte
 * order. Scores are exact however large they get;
 * memory is linear in the size of the graph.
 *
 * Appends a line "SCORE PATH" for each in the same order to `scores`, which may be NULL.
 * Returns 0, or -1 and the cycle that the references form.
 */
int popularity_order(const struct graph *g, uint32_t *order, struct buf *scores,
		     struct err *e);

/*
 * Fills the empty plan `p` with at most `limit` layers, 1 or more: the first `limit` - 1
 * paths in that order get one each, what is left shares the last. Returns as above.
 */
int popularity_plan(const struct graph *g, size_t limit, struct plan *p, struct err *e);

#endif
