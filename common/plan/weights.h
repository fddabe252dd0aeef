/*
 * weights: read the relative probability that each path is updated.
 *
 * Planners otherwise assume that all updates are equally likely. A user can state, for
 * example, that an application changes more often than libc:
 *
 *	1 *
 *	50 my-app-*
 */
#ifndef DT_WEIGHTS_H
#define DT_WEIGHTS_H

#include <stddef.h>

struct err;
struct graph;

/*
 * Reads lines "WEIGHT PATTERN" and writes the weight of each node of `g` to
 * weight[number]. WEIGHT is a number from 0 to 1000000, and one blank follows. PATTERN is
 * a pattern of fnmatch(3). A pattern with a '/' must match the complete path. Any other
 * pattern must match the name of the path without its directory and hash.
 *
 * If several lines match a path, the last line counts. A path without a match has the
 * weight 1. Empty lines and lines that start with '#' are skipped. `what` names the text.
 * Returns 0, or -1 with the reason in `e` if a line is malformed or all weights are 0.
 */
int weights_parse(double *weight, const struct graph *g, const char *text, size_t len,
		  const char *what, struct err *e);

/*
 * Does the same with a file; "-" is standard input. Returns a new array, or NULL with the
 * reason in `e`.
 */
double *weights_read(const struct graph *g, const char *file, struct err *e);

#endif
