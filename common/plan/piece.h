/*
 * piece: the graphs, lists and parts that a pipeline works on.
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
 * A graph has the numbers of n nodes, and references among them that count from 0 within
 * this graph. A list has n values. Parts are N_PARTS values, of which some are NOTHING.
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

/* Moves all graphs in `v`, the first first, to the end of the list `flat`. */
void value_flatten(struct value *v, struct value *flat);

/* MAIN for "main" and so on, -1 for no part's name. */
int part_number(const char *key);

/* All of `g`, the smallest path first, equal ones in byte order; -1 and the cycle. */
int piece_whole(struct value *v, const struct graph *g, struct err *e);

/* Each of these makes the graph `v` something else. A mark holds numbers of nodes. */

/* A list of graphs of one node each, the most popular first, see popularity_order(). */
int piece_by_popularity(struct value *v, const struct graph *g, struct err *e);

/* A list of graphs of `count` nodes, the last one with what is left. */
void piece_split(struct value *v, size_t count);

/* A graph without the marked nodes. */
void piece_remove(struct value *v, const struct mark *mark);

/* MAIN: the marked nodes and all that they lead to in that direction; REST: the others.
 */
void piece_subcomponent(struct value *v, const struct mark *mark, enum towards towards);

/* Sets target[i] if node i of the graph is marked; or if it is a reference of one. */
void piece_target(const struct value *v, const struct mark *mark, bool *target);
void piece_target_children(const struct value *v, const struct mark *mark, bool *target);

/*
 * MAIN: the targets and what only they need; COMMON: what others need too; REST: the
 * others. Parts without nodes are NOTHING. References to targets are gone. Without a
 * target, all is REST; where the only root is one, MAIN.
 */
void piece_split_off(struct value *v, const bool *target);

/* Makes one graph of all graphs of the list `v` from number `first` on, in their order.
 */
void list_merge(struct value *v, size_t first);

#endif
