/*
 * pipeline: layers by the operations of nixpkgs' flatten_references_graph.
 *
 * A pipeline is a JSON list of operations, [NAME, ARGUMENT...], that starts with the
 * whole graph; each is applied to what the one before it returns: a graph, a list, or the
 * parts main, common and rest. dt-popularity(1) describes them.
 */
#ifndef DT_PIPELINE_H
#define DT_PIPELINE_H

#include "base/json.h"

struct err;
struct graph;
struct plan;

/*
 * Applies the operations to `g` and fills the empty plan `p` with the graphs that come
 * out, lists from the first to the last, parts in the order main, common, rest. In a
 * graph, paths are in the order of their sizes, the smallest first, equal ones in byte
 * order.
 *
 * Returns 0, or -1 and the operation at fault: unknown ones, arguments of the wrong
 * kind, operations on what they do not work on, a part that is not there, a lone graph or
 * nothing at the end, and a graph with a cycle.
 */
int pipeline_plan(const json_t *operations, const struct graph *g, struct plan *p,
		  struct err *e);

#endif
