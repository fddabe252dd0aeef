/*
 * scan: find the references of store paths in their files, without Nix and without its
 * database.
 *
 * The result is the same as in Nix. A path refers to each path of the store whose hash
 * part occurs in the contents of a file, in a symlink target or in a file name. Results
 * are kept in the cache.
 *
 *	struct scan *s = scan_open(&store, &cache, &e);
 *	if (s == NULL || scan_closure(s, &graph, &e) < 0)
 *		die("%s", e.text);
 *	scan_close(s);
 */
#ifndef DT_SCAN_H
#define DT_SCAN_H

#include <stddef.h>

struct cache;
struct err;
struct graph;
struct scan;
struct store;

/*
 * Reads the store directory. Lock files and other temporary files of Nix are ignored.
 * `store` and `cache` are kept, not copied. Returns NULL with the reason in `e` on
 * failure. The caller closes the result.
 */
struct scan *scan_open(const struct store *store, const struct cache *cache,
		       struct err *e);
void scan_close(struct scan *s);

/*
 * Returns the HASH-NAME with this hash part. Returns NULL with an empty reason if there
 * is none, and NULL with a reason if there are two.
 */
const char *scan_find(const struct scan *s, const char *hash, struct err *e);

/*
 * Completes `g` to a closure on all cores: scans every path, adds the paths that it
 * refers to, and so on. Returns 0, or -1 with the reason in `e`.
 */
int scan_closure(const struct scan *s, struct graph *g, struct err *e);

/*
 * Calls found() for each maximal run of at least STORE_HASH hash characters, in order.
 * Hash characters are 0-9 and a-z.
 */
void scan_runs(const char *text, size_t len,
	       void (*found)(void *arg, const char *run, size_t len), void *arg);

#endif
