/*
 * draw: draw a plan as an SVG picture, so that its expensive layers can be seen.
 */
#ifndef DT_DRAW_H
#define DT_DRAW_H

struct buf;
struct cost;
struct err;
struct graph;

/*
 * Appends an SVG document with a bar for each layer. The length of the bar is the size of
 * the layer. A darker bar inside shows the bytes that an average update re-sends. The
 * color shows the probability that an update re-sends the layer. A thin grey bar shows
 * the bytes that an average update re-sends if it re-sends all layers above the lowest
 * changed layer. Returns 0, or -1 with the reason in `e` if a path is not UTF-8.
 */
int draw_cost(const struct cost *c, const struct graph *g, struct buf *out,
	      struct err *e);

#endif
