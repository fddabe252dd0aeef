/*
 * derivations: which derivations store paths come from.
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
 * Sets the derivers of the paths in `g` that `file` knows: a database of Nix or Guix, or
 * a graph that Nix exported (see export.h). An empty file knows none. If `file` is NULL,
 * the store's own database is asked, if the store has one. Returns 0, or -1 and why.
 */
int derivations_find(struct graph *g, const struct store *s, const char *file,
		     struct err *e);

/* What the derivations among the paths of a graph build. A zeroed struct is empty. */
struct derivations {
	struct nixdb_output *output;
	size_t n, cap;
};

/*
 * Reads each path of `g` whose name ends in ".drv", in this order of the nodes, into the
 * empty `d`. Outputs whose path is not known before they are built are left out. Returns
 * 0, or -1 and why; release it in either case.
 */
int derivations_read(struct derivations *d, const struct graph *g, const uint32_t *order,
		     struct store *s, struct err *e);
void derivations_release(struct derivations *d);

#endif
