/*
 * piece: the pieces of a graph that the operations of a pipeline take and return.
 *
 * A pipeline (pipeline.h) starts with the complete graph and splits it step by step. A
 * piece is a graph, a list of pieces, or the three parts main, common and rest:
 *
 *	struct piece v;
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

enum piece_kind { PIECE_GRAPH, PIECE_LIST, PIECE_PARTS, PIECE_NOTHING };
enum { PIECE_MAIN, PIECE_COMMON, PIECE_REST, PIECE_N_PARTS };
enum piece_direction { PIECE_REFERENCES, PIECE_REFERRERS };

struct piece_arc {
	uint32_t from, to;
};

/*
 * A graph contains the numbers of n nodes, and the references between them as indexes of
 * node[]. A list contains n pieces. Parts are PIECE_N_PARTS pieces, some of which may be
 * PIECE_NOTHING.
 */
struct piece {
	enum piece_kind kind;
	size_t n;
	uint32_t *node;
	struct piece_arc *arc;
	size_t n_arcs;
	struct piece *item;
};

void piece_release(struct piece *v);

/* Moves all graphs in `v` to the end of the list `flat`, in their order. */
void piece_flatten(struct piece *v, struct piece *flat);

/* Returns PIECE_MAIN for "main" and so on, or -1 for another text. */
int piece_part(const char *key);

/*
 * Sets `v` to the complete graph `g`, sorted by size, the smallest first, then in byte
 * order of the paths. Returns 0, or -1 with a cycle in `e`.
 */
int piece_whole(struct piece *v, const struct graph *g, struct err *e);

/*
 * Each of the following functions replaces the graph `v` by its result. A mark contains
 * node numbers.
 */

/*
 * Makes a list of graphs of one node each, the most popular first; see
 * popularity_order().
 */
int piece_by_popularity(struct piece *v, const struct graph *g, struct err *e);

/* Makes a list of graphs of `count` nodes. The last graph has the remaining nodes. */
void piece_split(struct piece *v, size_t count);

/* Makes a graph without the marked nodes. */
void piece_remove(struct piece *v, const struct adjacency_mark *mark);

/*
 * Makes parts. PIECE_MAIN has the marked nodes and all nodes that can be reached in the
 * given direction. PIECE_REST has the other nodes.
 */
void piece_subcomponent(struct piece *v, const struct adjacency_mark *mark,
			enum piece_direction direction);

/*
 * Set target[i] if node i of the graph is marked, or if it is a reference of a marked
 * node.
 */
void piece_target(const struct piece *v, const struct adjacency_mark *mark, bool *target);
void piece_target_children(const struct piece *v, const struct adjacency_mark *mark,
			   bool *target);

/*
 * Makes parts and removes references to targets. Parts without nodes are PIECE_NOTHING.
 *
 * - PIECE_MAIN has the targets and the nodes that only targets need.
 * - PIECE_COMMON has the nodes that targets and other nodes need.
 * - PIECE_REST has the other nodes.
 *
 * If there is no target, all nodes are in PIECE_REST. If the only root is a target, all
 * nodes are in PIECE_MAIN.
 */
void piece_split_off(struct piece *v, const bool *target);

/*
 * Replaces the graphs of the list `v` from index `first` by a single graph, with the
 * nodes in the same order.
 */
void piece_merge(struct piece *v, size_t first);

#endif
