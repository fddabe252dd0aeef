/*
 * cache: results of earlier runs, such as digests of files that never change.
 *
 * Hashing a large store takes long, and store paths do not change. A tool keeps such a
 * result in the cache and skips the computation in the next run:
 *
 *	struct buf fact = {0};
 *	if (!cache_get(&c, "nar", key, &fact))
 *		cache_put(&c, "nar", key, result, len);
 *
 * Each result is one file, DIR/KIND/KEY. DIR is $DT_CACHE; the default is
 * $XDG_CACHE_HOME/dt, then $HOME/.cache/dt. KEY must be a digest of everything that the
 * result depends on.
 *
 * Files are written to DIR/drafts and renamed, and each starts with a checksum. So
 * several processes can share the directory, and it can be damaged or deleted at any
 * time. An unreadable result is computed again.
 */
#ifndef DT_CACHE_H
#define DT_CACHE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct draft;

struct cache {
	char *dir; /* NULL if the cache is off */
};

/*
 * Initializes the cache. The cache is off if `on` is false, or if the environment names
 * no directory.
 */
void cache_init(struct cache *c, bool on);
void cache_release(struct cache *c);

/*
 * Reads a result into `out`, replacing its contents. Returns false if the cache has no
 * valid result.
 */
bool cache_get(const struct cache *c, const char *kind, const char *key, struct buf *out);

/*
 * Stores a result. Errors are ignored, because the cache is optional. Several threads may
 * call it.
 */
void cache_put(const struct cache *c, const char *kind, const char *key, const char *fact,
	       size_t len);

/*
 * Creates the parent directories of the file `name`, with mode 0700 as the XDG Base
 * Directory Specification asks. Errors are ignored. `name` is modified during the call
 * and restored.
 */
void cache_make_directories(char *name);

/*
 * Creates the draft of a file in the cache, whose directory the caller makes; see
 * draft.h. The cache must have a directory. All drafts are in one directory, so that
 * those of dead processes are found without reading the complete cache: the first call
 * in a process removes them. Returns 0, or -1 with errno set.
 */
int cache_begin(const struct cache *c, struct draft *d, const char *file);

#endif
