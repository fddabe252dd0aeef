/*
 * pipeline: compute layers with the operations of nixpkgs' flatten_references_graph.
 *
 * A user describes the layers as a JSON list of operations, [NAME, ARGUMENT...]:
 *
 *	[["split_paths", ["/nix/store/HASH-bash"]],
 *	 ["over", "rest", ["split_every", 10]],
 *	 ["flatten"]]
 *
 * The first operation takes the complete graph. Each other operation takes the result of
 * the operation before it. A result is a graph, a list, or the parts main, common and
 * rest. dt-popularity(1) describes the operations.
 */
#ifndef DT_PIPELINE_H
#define DT_PIPELINE_H

#include "base/json.h"

struct err;
struct graph;
struct plan;

/*
 * Applies the operations to `g`. Fills the empty plan `p` with the resulting graphs, one
 * for each layer. Lists are written from the first element to the last, and parts in the
 * order main, common, rest. Paths in a layer are sorted by size, the smallest first, then
 * in byte order.
 *
 * Returns 0, or -1 with the faulty operation in `e`. These are errors:
 *
 * - an unknown operation, and an argument of the wrong kind;
 * - a value that the operation does not support, and a part that does not exist;
 * - a single graph or no path at the end;
 * - a graph with a cycle.
 */
int pipeline_plan(const json_t *operations, const struct graph *g, struct plan *p,
		  struct err *e);

#endif
