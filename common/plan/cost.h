/*
 * cost: compute how many bytes a plan re-sends in updates, and how many bytes several
 * images take together.
 *
 * The numbers compare plans. An update of a path changes the path and all paths that
 * depend on it. Every layer with a changed path is sent again. A receiver that identifies
 *a layer by the chain of all layers below it also gets all layers above it again:
 *
 *	if (cost_init(&c, &graph, &plan, NULL, &e) == 0)
 *		cost_text(&c, &graph, &out);
 *	cost_release(&c);
 *
 * Bytes are NAR sizes. A plan may leave out paths of the graph. Such paths cost nothing,
 * but dependencies through them count.
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
	double chance; /* probability that an update re-sends it */
	double chain;  /* probability that an update re-sends it or a layer below it */
	/* Its largest path; the first in byte order if several have the same size. */
	uint32_t main;
	size_t n; /* number of paths */
};

/* A zeroed struct is the cost of an empty plan. */
struct cost {
	struct cost_layer *layer; /* n layers */
	size_t n;
	uint64_t size; /* size of all layers */
	double mean;   /* average number of bytes that an update re-sends */
	double chain;  /* the same with all layers above the lowest of them */
	/* The mean if each path had its own layer, which is the minimum. */
	double bound;
	uint64_t worst; /* bytes of the most expensive update */
	uint32_t worst_path;
};

/*
 * Computes the cost of the plan. weight[number] is the relative probability of an update
 * of a node. If `weight` is NULL, all updates are equally likely. Returns 0, or -1 with a
 * cycle in `e`.
 */
int cost_init(struct cost *c, const struct graph *g, const struct plan *p,
	      const double *weight, struct err *e);
void cost_release(struct cost *c);

/* Appends the numbers as a table. */
void cost_text(const struct cost *c, const struct graph *g, struct buf *out);

/*
 * Appends the numbers as a line of JSON. Returns 0, or -1 with the reason in `e` if a
 * path is not UTF-8.
 */
int cost_json(const struct cost *c, const struct graph *g, const struct plan *p,
	      struct buf *out, struct err *e);

/* Sizes of several images in bytes. */
struct cost_images {
	uint64_t apart;        /* all images without sharing */
	uint64_t held;         /* all distinct layers, as a registry stores them */
	uint64_t bound;        /* all distinct paths, which is the minimum */
	size_t images, layers; /* number of images; number of distinct layers */
};

/* Computes the sizes of n_images images. Their plans contain node numbers of `all`. */
struct cost_images cost_images(const struct graph *all, const struct plan *plans,
			       size_t n_images);

/* Append the sizes as lines of text, or as a line of JSON. */
void cost_images_text(const struct cost_images *c, struct buf *out);
void cost_images_json(const struct cost_images *c, struct buf *out);

#endif
