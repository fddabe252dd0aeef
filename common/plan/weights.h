/*
 * weights: how likely an update of each path is.
 */
#ifndef DT_WEIGHTS_H
#define DT_WEIGHTS_H

#include <stddef.h>

struct err;
struct graph;

/*
 * Reads lines "WEIGHT PATTERN": a number from 0 to 1000000, one blank, and a pattern of
 * fnmatch(3) that is to match a whole path, or, if it has no '/', a path's name without
 * its directory and hash. Of the lines that match a path, the last one counts; a path
 * that none matches weighs 1. Lines that are empty or start with '#' are skipped. Writes
 * the weight of each node of `g` to weight[number]. `what` names the text. Returns 0, or
 * -1 and why: a malformed line, or no path that weighs anything.
 */
int weights_parse(double *weight, const struct graph *g, const char *text, size_t len,
		  const char *what, struct err *e);

/* The same from a file, "-" being standard input: a new array, or NULL and why. */
double *weights_read(const struct graph *g, const char *file, struct err *e);

#endif
