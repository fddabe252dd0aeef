/*
 * fleet: plans of several images that share layers. Level 8.
 */
#ifndef DT_FLEET_H
#define DT_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct graph;
struct plan;

/*
 * Adds the paths of an image to `all`, which starts empty. Returns 0, or -1 and the path
 * that differs from the same one of an image before.
 */
int fleet_join(struct graph *all, const struct graph *image, struct err *e);

/*
 * Plans the images together: in[i][number] tells whether image i holds a node of `all`.
 * Fills the empty plans, one an image, with numbers of `all`: at most `limit` layers (1
 * or more) each, such that all distinct layers together take few bytes, and of those with
 * few, such that little is re-sent when a path is updated. `weight` and the order of
 * layers and paths are as with transfer_plan(). Returns 0, or -1 and the cycle.
 */
int fleet_plan(const struct graph *all, const bool *const *in, size_t n_images,
	       size_t limit, const double *weight, struct plan *plans, struct err *e);

/* Bytes of some images. */
struct fleet_cost {
	uint64_t apart;        /* all of each, nothing being shared */
	uint64_t held;         /* all layers that differ: what a registry holds */
	uint64_t bound;        /* all paths that differ: the least that is possible */
	size_t images, layers; /* how many there are; how many differ */
};

struct fleet_cost fleet_cost(const struct graph *all, const struct plan *plans,
			     size_t n_images);

/* Appends them as lines of text, or as a line of JSON. */
void fleet_cost_write(const struct fleet_cost *c, bool json, struct buf *out);

#endif
