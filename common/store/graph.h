/*
 * graph: store paths, their sizes and references; the stream of dt-graph(5).
 *
 * A node's number is the order in which its name first came up. References are numbers
 * of nodes. A zeroed struct is an empty graph.
 */
#ifndef DT_GRAPH_H
#define DT_GRAPH_H

#include "base/strset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

struct graph_node {
	uint64_t size; /* NAR size in bytes */
	uint32_t *refs;
	size_t n_refs, cap_refs;
	bool known;    /* its line was seen; false: only referred to */
	char *deriver; /* the derivation that made it, NULL if that is not known; it is
			  not in dt-graph(5) */
};

struct graph {
	struct strset paths;     /* number -> path */
	struct graph_node *node; /* paths.n of them */
	size_t cap;
};

void graph_release(struct graph *g);

/* The number of the path, which is added as an unknown node if it is new. */
uint32_t graph_node(struct graph *g, const char *path, size_t len);

/* Gives node `from` a reference to `to`. Self-references and repeated ones are dropped.
 */
void graph_refer(struct graph *g, uint32_t from, uint32_t to);

/*
 * Makes node `id` known: its size, and all its references, of which self-references and
 * repeated ones are dropped. `refs` is taken over and may be NULL if n is 0. Returns -1
 * if the node is known already and differs.
 */
int graph_define(struct graph *g, uint32_t id, uint64_t size, uint32_t *refs, size_t n);

/*
 * Reads lines of dt-graph(5) in any order into the empty graph `g`. A line that stands
 * twice with the same words counts once. Refuses malformed lines, a last line without
 * newline, two lines that differ about one path, references to paths without a line,
 * and an empty text. `what` names the text: "stdin:12: ...". Returns 0, or -1 and why.
 */
int graph_parse(struct graph *g, const char *text, size_t len, const char *what,
		struct err *e);

/* No graph or plan is read that is larger. */
enum { GRAPH_LIMIT = 256 << 20 };

/*
 * The same from a file ("-": standard input). Refuses cycles, too, and sizes whose sum is
 * 2^63 bytes or more.
 */
int graph_read(struct graph *g, const char *file, struct err *e);

/*
 * Adds the paths of a graph to `all`, which starts empty. Returns 0, or -1 and the path
 * that `all` has with another size or other references.
 */
int graph_join(struct graph *all, const struct graph *g, struct err *e);

/*
 * Finds the canonical order: references before their referrers, ties in byte order of
 * the paths. Writes paths.n numbers to `order`. Returns 0, or -1 and the cycle.
 */
int graph_sort(const struct graph *g, uint32_t *order, struct err *e);

/*
 * Appends the graph's canonical text, leaving out the nodes for which skip[number] is
 * true and all references to them; `skip` may be NULL. Returns 0, or -1 and the cycle.
 */
int graph_write(const struct graph *g, const bool *skip, struct buf *out, struct err *e);

#endif
