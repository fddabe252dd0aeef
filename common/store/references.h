/*
 * references: answer which store paths a store path refers to.
 *
 * There are three sources: the database of Nix or Guix, a graph that Nix or dt wrote, and
 * the files themselves. This module hides which of them answers:
 *
 *	struct references r = {.store = &store};
 *	if (references_open(&r, false, &cache, &e) < 0 ||
 *	    references_closure(&r, &graph, &e) < 0)
 *		die("%s", e.text);
 *	references_release(&r);
 */
#ifndef DT_REFERENCES_H
#define DT_REFERENCES_H

#include "store/graph.h"

#include <stdbool.h>

struct buf;
struct cache;
struct err;
struct nixdb;
struct scan;
struct store;

/* A source. At most one of the last three members is set. */
struct references {
	struct store *store;   /* must outlive the source */
	const char *file;      /* of the graph; must outlive the source */
	struct graph exported; /* the graph, if `file` is not NULL */
	struct nixdb *db;
	struct scan *scan;
};

/*
 * Opens a graph or a database as the source. If the directory of the store is not known
 * yet, it is taken from the paths in it. `file` may be "-" for a graph. Returns 0, or -1
 * with the reason in `e`.
 */
int references_open_graph(struct references *r, const char *file, struct err *e);
int references_open_db(struct references *r, const char *file, struct err *e);

/*
 * Opens the source of the store, unless one is open: its database, or its files if there
 * is none or `is_scan` is true. The directory of the store must be known. `cache` must
 * outlive the source. Returns 0, or -1 with the reason in `e`.
 */
int references_open(struct references *r, bool is_scan, const struct cache *cache,
		    struct err *e);
void references_release(struct references *r);

/*
 * Sets `path` to the store path with this hash part. Returns 1 if there is one, 0 if not,
 * or -1 with the reason in `e`.
 */
int references_find(struct references *r, const char *hash, struct buf *path,
		    struct err *e);

/*
 * Completes `g` to a closure. Sets the references and the size (or NAR_UNKNOWN) of every
 * path, adds the paths that it refers to, and so on. Returns 0, or -1 with the reason in
 * `e`, for example if the source does not know a path.
 */
int references_closure(struct references *r, struct graph *g, struct err *e);

#endif
