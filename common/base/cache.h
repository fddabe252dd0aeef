/*
 * cache: what was computed once of things that do not change.
 *
 * A plain file per fact, DIR/KIND/KEY, written in DIR/drafts, DIR being $DT_CACHE, else
 * $XDG_CACHE_HOME/dt, else $HOME/.cache/dt. KEY is a digest of all that the fact depends
 * on. Files are written by rename and carry a checksum, so the directory may be shared,
 * filled up, damaged or deleted at any time: what cannot be read is computed again.
 */
#ifndef DT_CACHE_H
#define DT_CACHE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

struct cache {
	char *dir; /* NULL: nothing is remembered */
};

/* A cache that is off if `on` is false or no directory can be told. */
void cache_init(struct cache *c, bool on);
void cache_release(struct cache *c);

/* Replaces the contents of `out` by the fact and returns true, or returns false. */
bool cache_get(const struct cache *c, const char *kind, const char *key, struct buf *out);

/* Remembers a fact. Failing to is not an error. Safe in several threads at once. */
void cache_put(const struct cache *c, const char *kind, const char *key, const char *fact,
	       size_t len);

/* Makes the directories, of mode 0700 as XDG asks, that the file `name` lies in. */
void cache_make_directories(char *name);

#endif
