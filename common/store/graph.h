/*
 * graph: store paths with their sizes and references, and the stream of dt-graph(5).
 *
 * A graph describes the closure of an image. Tools read it from a file, sort it so that
 * references come first, and write it in one canonical form:
 *
 *	struct graph g = {0};
 *	if (graph_read(&g, "-", &e) < 0)
 *		die("%s", e.text);
 *	graph_sort(&g, order, &e);
 *
 * Nodes are numbered in the order in which their paths first appear. References are node
 * numbers. A zeroed struct is an empty graph.
 */
#ifndef DT_GRAPH_H
#define DT_GRAPH_H

#include "base/strset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct edges;
struct err;

struct graph_node {
	uint64_t size; /* size of its NAR in bytes */
	uint32_t *refs;
	size_t n_refs, cap_refs;
	bool known; /* its size and references are known; false: it is only referred to */
	char *deriver; /* the derivation that it was built from, or NULL; not in
			  dt-graph(5) */
};

struct graph {
	struct strset paths;     /* path of each node */
	struct graph_node *node; /* paths.n nodes */
	size_t cap;
};

void graph_release(struct graph *g);

/* Returns the number of the path. Adds a new path as an unknown node. */
uint32_t graph_node(struct graph *g, const char *path, size_t len);

/*
 * Adds a reference from node `from` to node `to`. Ignores a reference to itself and a
 * duplicate.
 */
void graph_refer(struct graph *g, uint32_t from, uint32_t to);

/*
 * Sets the size and all references of node `id`. References to itself and duplicates are
 * dropped. The function takes ownership of `refs`, which may be NULL if n is 0. Returns
 * -1 if the node is already known with another size or other references.
 */
int graph_define(struct graph *g, uint32_t id, uint64_t size, uint32_t *refs, size_t n);

/*
 * Reads lines of dt-graph(5) in any order into the empty graph `g`. An identical repeated
 * line is ignored. These are errors:
 *
 * - an empty text, a malformed line, and a last line without a newline;
 * - two lines that differ about the same path;
 * - a reference to a path without a line.
 *
 * `what` names the text in the reason: "stdin:12: ...". Returns 0, or -1 with the reason
 * in `e`.
 */
int graph_parse(struct graph *g, const char *text, size_t len, const char *what,
		struct err *e);

/* The largest graph or plan in bytes. */
enum { GRAPH_LIMIT = 256 << 20 };

/*
 * Does the same with a file; "-" is standard input. A cycle, and sizes with a sum of 2^63
 * bytes or more, are errors, too.
 */
int graph_read(struct graph *g, const char *file, struct err *e);

/*
 * Adds the paths of a graph to `all`, which starts empty. Returns 0, or -1 if `all` has
 * one of the paths with another size or other references.
 */
int graph_join(struct graph *all, const struct graph *g, struct err *e);

/* Sets `up` to the edges from each path to its referrers. The caller releases it. */
void graph_referrers(const struct graph *g, struct edges *up);

/*
 * Computes the canonical order: references before their referrers, and otherwise the byte
 * order of the paths. Writes paths.n numbers to `order`. Returns 0, or -1 with a cycle in
 * `e`.
 */
int graph_sort(const struct graph *g, uint32_t *order, struct err *e);

/*
 * Appends the canonical text of the graph. Nodes for which skip[number] is true are left
 * out, with all references to them; `skip` may be NULL. Returns 0, or -1 with a cycle in
 * `e`.
 */
int graph_write(const struct graph *g, const bool *skip, struct buf *out, struct err *e);

#endif
