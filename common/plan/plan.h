/*
 * plan: the list of store paths in each layer, and the stream of dt-plan(5).
 *
 * A planner fills a plan path by path and layer by layer, starting with the bottom layer:
 *
 *	plan_add(&p, node);
 *	plan_close(&p);
 *	plan_write(&p, &graph, &out);
 *
 * A path is its node number in a graph. A zeroed struct is a plan without layers.
 */
#ifndef DT_PLAN_H
#define DT_PLAN_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct graph;

struct plan {
	uint32_t *path; /* layer i has path[plan_start(p, i)] up to path[end[i] - 1] */
	size_t *end;
	size_t n, n_paths; /* number of layers; number of paths in all layers */
	size_t cap, cap_paths;
};

void plan_release(struct plan *p);

/* Adds the path to the current layer. */
void plan_add(struct plan *p, uint32_t path);

/* Ends the current layer. A layer without paths is dropped. */
void plan_close(struct plan *p);

/* Returns the index of the first path of layer `i`. */
size_t plan_start(const struct plan *p, size_t i);

/*
 * Fills the empty plan `p` with the layers of `from`. The graph `g` must contain all
 * paths of `from`.
 */
void plan_translate(struct plan *p, const struct graph *g, const struct plan *from,
		    const struct graph *from_graph);

/* Appends the plan's text. */
void plan_write(const struct plan *p, const struct graph *g, struct buf *out);

/*
 * Reads lines of dt-plan(5) and calls on_path() for each path in order. `layer` is the
 * number of its layer, starting at 0. on_path() returns 0, or -1 with the reason in `e`.
 *
 * These are errors: an empty text, empty lines and words, a NUL byte, a duplicate path in
 * a line, and a truncated last line. `what` names the text in the reason: "stdin:12:
 * ...". Returns 0, or -1 with the reason in `e`.
 */
int plan_scan(const char *text, size_t len, const char *what,
	      int (*on_path)(void *arg, const char *path, size_t layer, struct err *e),
	      void *arg, struct err *e);

/* The same of a file, "-" being standard input. */
int plan_scan_file(const char *file,
		   int (*on_path)(void *arg, const char *path, size_t layer,
				  struct err *e),
		   void *arg, struct err *e);

/*
 * Reads a plan into the empty plan `p`. A path that is not in the graph is an error. A
 * path of the graph may be in no layer or in several layers. Returns 0, or -1 with the
 * reason in `e`.
 */
int plan_parse(struct plan *p, const struct graph *g, const char *text, size_t len,
	       const char *what, struct err *e);

/* Does the same with a file; "-" is standard input. */
int plan_read(struct plan *p, const struct graph *g, const char *file, struct err *e);

#endif
