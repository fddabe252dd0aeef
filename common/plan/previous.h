/*
 * previous: find the layer that each path had in an earlier plan.
 *
 * An update should not move paths to other layers without need. An updated path has
 * another hash and often another version, so paths are also compared by name.
 */
#ifndef DT_PREVIOUS_H
#define DT_PREVIOUS_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct graph;

enum { PREVIOUS_NONE = UINT32_MAX };

/*
 * Reads a plan (dt-plan(5)) and writes the layer of each node of `g` to layer[number].
 * The layer is that of the first match:
 *
 * - the same path;
 * - the first path with the same name after the hash;
 * - the first path with the same name without the version, which starts at the first '-'
 *   that no letter follows.
 *
 * Without a match, the layer is PREVIOUS_NONE. `what` names the text. Returns 0, or -1
 * with the reason in `e` if the text is not a plan.
 */
int previous_parse(uint32_t *layer, const struct graph *g, const char *text, size_t len,
		   const char *what, struct err *e);

/*
 * Does the same with a file; "-" is standard input. Returns a new array, or NULL with the
 * reason in `e`.
 */
uint32_t *previous_read(const struct graph *g, const char *file, struct err *e);

#endif
