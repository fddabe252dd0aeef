/*
 * derivations: find the derivations that store paths were built from, and read their
 * outputs.
 *
 * An image with its own Nix database should know the deriver of each path. A graph does
 * not contain derivers, so they are looked up in a database or in an exported graph:
 *
 *	if (derivations_find(&graph, &store, file, &e) < 0)
 *		die("%s", e.text);
 */
#ifndef DT_DERIVATIONS_H
#define DT_DERIVATIONS_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct graph;
struct nixdb_output;
struct store;

/*
 * Sets the derivers of the paths in `g` that `file` contains. `file` is a database of Nix
 * or Guix, or a graph that Nix exported (see nixgraph.h). An empty file contains no
 * derivers. If `file` is NULL, the database of the store is used if there is one. Returns
 * 0, or -1 with the reason in `e`.
 */
int derivations_find(struct graph *g, const struct store *s, const char *file,
		     struct err *e);

/* The outputs of the derivations in a graph. A zeroed struct is empty. */
struct derivations {
	struct nixdb_output *output;
	size_t n, cap;
};

/*
 * Reads each path of `g` whose name ends in ".drv" into the empty `d`. `order` is the
 * order of the nodes. Outputs with a path that is not known before they are built are
 * left out. Returns 0, or -1 with the reason in `e`. The caller releases `d` in both
 * cases.
 */
int derivations_read(struct derivations *d, const struct graph *g, const uint32_t *order,
		     struct store *s, struct err *e);
void derivations_release(struct derivations *d);

#endif
