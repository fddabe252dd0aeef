/*
 * previous: the layers that paths had in a plan before.
 */
#ifndef DT_PREVIOUS_H
#define DT_PREVIOUS_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct graph;

enum { PREVIOUS_NONE = UINT32_MAX };

/*
 * Reads a plan, dt-plan(5), and writes the number of the layer of each node of `g` to
 * layer[number]: that of the same path; else of the first path with the same name behind
 * its hash; else with the same name but for the version, which starts at the first '-'
 * without a letter behind it; else PREVIOUS_NONE. `what` names the text. Returns 0, or -1
 * and why the text is no plan.
 */
int previous_parse(uint32_t *layer, const struct graph *g, const char *text, size_t len,
		   const char *what, struct err *e);

/* The same from a file, "-" being standard input: a new array, or NULL and why. */
uint32_t *previous_read(const struct graph *g, const char *file, struct err *e);

#endif
