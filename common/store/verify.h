/*
 * verify: compare store paths with what the database of Nix contains about them.
 *
 * Every path must come from a trusted source, see trust.h, and the hash and size of its
 * NAR must be those in the database:
 *
 *	const struct verify v = {.store = &store, .db = db, .trust = &trust};
 *	if (verify_graph(&v, &graph, NULL, &e) < 0)
 *		die("%s", e.text);
 */
#ifndef DT_VERIFY_H
#define DT_VERIFY_H

#include <stdbool.h>

struct err;
struct graph;
struct nixdb;
struct store;
struct trust;

struct verify {
	const struct store *store;
	struct nixdb *db;
	const struct trust *trust;
};

/*
 * Reads the files of all paths in the graph on all cores, except those for which
 * skip[number] is true; `skip` may be NULL. No cache is used. Returns 0, or -1 with the
 * first bad path in `e`: a path that is not trusted, else a path with another hash; paths
 * are in the order of graph_sort(). Ends the process with a message that names the file
 * if a file cannot be read or keeps changing.
 */
int verify_graph(const struct verify *v, const struct graph *g, const bool *skip,
		 struct err *e);

#endif
