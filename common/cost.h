/*
 * cost: what a plan costs when paths are updated. Level 6.
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
	uint64_t second,
	    shared; /* bytes of another image, and of its layers that are here */
};

/*
 * Computes what the plan costs; weight[number] is how likely an update of a node is, and
 * may be NULL if all are as likely. Returns 0, or -1 and the cycle in the graph.
 */
int cost_init(struct cost *c, const struct graph *g, const struct plan *p,
	      const double *weight, struct err *e);
void cost_release(struct cost *c);

/* Fills in `second` and `shared`: what the image of another graph and plan shares. */
void cost_second(struct cost *c, const struct graph *g, const struct plan *p,
		 const struct graph *other, const struct plan *other_plan);

/* Appends the numbers as a table. */
void cost_text(const struct cost *c, const struct graph *g, struct buf *out);

/* The same as a line of JSON; returns -1 and names the path that is not UTF-8. */
int cost_json(const struct cost *c, const struct graph *g, const struct plan *p,
	      struct buf *out, struct err *e);

#endif
