/*
 * piece: the values that the operations of a pipeline take and return.
 *
 * A pipeline (pipeline.h) starts with the complete graph and splits it step by step. A
 * value is a graph, a list of values, or the three parts main, common and rest:
 *
 *	struct value v;
 *	piece_whole(&v, &graph, &e);
 *	piece_split(&v, 10);                    now a list of graphs of 10 nodes
 */
#ifndef DT_PIECE_H
#define DT_PIECE_H

#include "plan/adjacency.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct graph;

enum kind { GRAPH, LIST, PARTS, NOTHING };
enum { MAIN, COMMON, REST, N_PARTS };
enum towards { REFERENCES, REFERRERS };

struct arc {
	uint32_t from, to;
};

/*
 * A graph contains the numbers of n nodes, and the references between them as indexes of
 * node[]. A list contains n values. Parts are N_PARTS values, some of which may be
 * NOTHING.
 */
struct value {
	enum kind kind;
	size_t n;
	uint32_t *node;
	struct arc *arc;
	size_t n_arcs;
	struct value *item;
};

void value_release(struct value *v);

/* Moves all graphs in `v` to the end of the list `flat`, in their order. */
void value_flatten(struct value *v, struct value *flat);

/* Returns MAIN for "main" and so on, or -1 for another text. */
int part_number(const char *key);

/*
 * Sets `v` to the complete graph `g`, sorted by size, the smallest first, then in byte
 * order of the paths. Returns 0, or -1 with a cycle in `e`.
 */
int piece_whole(struct value *v, const struct graph *g, struct err *e);

/*
 * Each of the following functions replaces the graph `v` by its result. A mark contains
 * node numbers.
 */

/*
 * Makes a list of graphs of one node each, the most popular first; see
 * popularity_order().
 */
int piece_by_popularity(struct value *v, const struct graph *g, struct err *e);

/* Makes a list of graphs of `count` nodes. The last graph has the remaining nodes. */
void piece_split(struct value *v, size_t count);

/* Makes a graph without the marked nodes. */
void piece_remove(struct value *v, const struct mark *mark);

/*
 * Makes parts. MAIN has the marked nodes and all nodes that can be reached in the given
 * direction. REST has the other nodes.
 */
void piece_subcomponent(struct value *v, const struct mark *mark, enum towards towards);

/*
 * Set target[i] if node i of the graph is marked, or if it is a reference of a marked
 * node.
 */
void piece_target(const struct value *v, const struct mark *mark, bool *target);
void piece_target_children(const struct value *v, const struct mark *mark, bool *target);

/*
 * Makes parts and removes references to targets. Parts without nodes are NOTHING.
 *
 * - MAIN has the targets and the nodes that only targets need.
 * - COMMON has the nodes that targets and other nodes need.
 * - REST has the other nodes.
 *
 * If there is no target, all nodes are in REST. If the only root is a target, all nodes
 * are in MAIN.
 */
void piece_split_off(struct value *v, const bool *target);

/*
 * Replaces the graphs of the list `v` from index `first` by a single graph, with the
 * nodes in the same order.
 */
void list_merge(struct value *v, size_t first);

#endif
