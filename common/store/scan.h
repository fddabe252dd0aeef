/*
 * scan: references found in the files themselves.
 *
 * What a store path refers to is what Nix would find: each path of the store whose hash
 * part occurs in a file's contents, a symlink's target or a file's name. No database and
 * no Nix is needed. What was found in a path is remembered in the cache.
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
 * Lists the store directory; lock files and the like are passed over. `store` and `cache`
 * are kept, not copied. Returns NULL and why on failure; the caller owns the result.
 */
struct scan *scan_open(const struct store *store, const struct cache *cache,
		       struct err *e);
void scan_close(struct scan *s);

/*
 * The HASH-NAME with this hash part, or NULL with an empty reason in `e` if the store
 * has none, with a reason if it has two.
 */
const char *scan_find(const struct scan *s, const char *hash, struct err *e);

/*
 * Completes `g`: scans every path in it, adds those found, and so on, on all cores.
 * Returns 0, or -1 and why.
 */
int scan_closure(const struct scan *s, struct graph *g, struct err *e);

/*
 * Calls `found` for each longest run of characters of which hash parts are made, if it
 * has STORE_HASH of them or more, in order.
 */
void scan_runs(const char *text, size_t len,
	       void (*found)(void *arg, const char *run, size_t len), void *arg);

#endif
