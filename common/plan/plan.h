/*
 * plan: which store paths go into which layer; the stream of dt-plan(5).
 *
 * A path is its number in a graph. A plan is filled path by path, layer by layer, the
 * bottom layer first. A zeroed struct is a plan without layers.
 */
#ifndef DT_PLAN_H
#define DT_PLAN_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct graph;

struct plan {
	uint32_t *path; /* layer i holds path[plan_start(p, i)] up to path[end[i] - 1] */
	size_t *end;
	size_t n, n_paths; /* layers; paths in all of them */
	size_t cap, cap_paths;
};

void plan_release(struct plan *p);

/* Puts the path into the layer that is being filled. */
void plan_add(struct plan *p, uint32_t path);

/* Ends the layer that is being filled; one that got no path is none. */
void plan_close(struct plan *p);

/* Where the paths of layer `i` start. */
size_t plan_start(const struct plan *p, size_t i);

/* Fills the empty plan `p` with that of `from`, in another graph that has its paths. */
void plan_translate(struct plan *p, const struct graph *g, const struct plan *from,
		    const struct graph *from_graph);

/* Appends the plan's text. */
void plan_write(const struct plan *p, const struct graph *g, struct buf *out);

/*
 * Reads lines of dt-plan(5) and calls `on_path` for each path in order, with the number
 * of its layer, which counts from 0; it returns 0, or -1 and why the path is refused.
 * Refuses an empty text, empty lines and words, NUL bytes, a path that is twice in a
 * line, and a truncated last line. `what` names the text: "stdin:12: ...". Returns 0, or
 * -1 and why.
 */
int plan_scan(const char *text, size_t len, const char *what,
	      int (*on_path)(void *arg, const char *path, size_t layer, struct err *e),
	      void *arg, struct err *e);

/*
 * The same into the empty plan `p`. Refuses paths that are not in the graph. Paths of the
 * graph that no line names are in no layer; a path may be in several. Returns 0, or -1
 * and why.
 */
int plan_parse(struct plan *p, const struct graph *g, const char *text, size_t len,
	       const char *what, struct err *e);

/* The same from a file, "-" being standard input. */
int plan_read(struct plan *p, const struct graph *g, const char *file, struct err *e);

#endif
