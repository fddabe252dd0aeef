/*
 * cost: what a plan costs when paths are updated, and what images cost together.
 *
 * An update of a path changes the path and all that depends on it, and re-sends each
 * layer that holds one of those. Bytes are NAR sizes. Layers of a plan may leave out
 * paths of the graph, which then cost nothing, but lead from one path to another.
 */
#ifndef DT_COST_H
#define DT_COST_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct graph;
struct plan;

struct cost_layer {
	uint64_t size;
	double chance; /* that an update re-sends it */
	uint32_t main; /* its largest path, of those of one size the first */
	size_t n;      /* paths */
};

/* A zeroed struct is that of an empty plan. */
struct cost {
	struct cost_layer *layer; /* n of them */
	size_t n;
	uint64_t size; /* of all layers */
	double mean;   /* bytes that an update re-sends */
	double
	    bound; /* the same if each path had a layer of its own: the least there is */
	uint64_t worst; /* the bytes of the update that re-sends most */
	uint32_t worst_path;
};

/*
 * Computes what the plan costs; weight[number] is how likely an update of a node is, and
 * may be NULL if all are as likely. Returns 0, or -1 and the cycle in the graph.
 */
int cost_init(struct cost *c, const struct graph *g, const struct plan *p,
	      const double *weight, struct err *e);
void cost_release(struct cost *c);

/* Appends the numbers as a table. */
void cost_text(const struct cost *c, const struct graph *g, struct buf *out);

/* The same as a line of JSON; returns -1 and names the path that is not UTF-8. */
int cost_json(const struct cost *c, const struct graph *g, const struct plan *p,
	      struct buf *out, struct err *e);

/* Bytes of some images. */
struct cost_images {
	uint64_t apart;        /* all of each, nothing being shared */
	uint64_t held;         /* all layers that differ: what a registry holds */
	uint64_t bound;        /* all paths that differ: the least that is possible */
	size_t images, layers; /* how many there are; how many differ */
};

/* Adds up the images whose plans, n_images of them, are in numbers of `all`. */
struct cost_images cost_images(const struct graph *all, const struct plan *plans,
			       size_t n_images);

/* Appends them as lines of text, or as a line of JSON. */
void cost_images_text(const struct cost_images *c, struct buf *out);
void cost_images_json(const struct cost_images *c, struct buf *out);

#endif
