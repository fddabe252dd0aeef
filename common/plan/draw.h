/*
 * draw: a picture of a plan.
 */
#ifndef DT_DRAW_H
#define DT_DRAW_H

struct buf;
struct cost;
struct err;
struct graph;

/*
 * Appends an SVG document: a bar a layer, as long as the layer is large, and in it a
 * darker one for the bytes that an average update re-sends of it; its colour tells how
 * likely it is to be re-sent. Returns 0, or -1 and the path that is not UTF-8.
 */
int draw_cost(const struct cost *c, const struct graph *g, struct buf *out,
	      struct err *e);

#endif
