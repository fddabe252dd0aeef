/*
 * store: store paths.
 *
 * A store path is DIR/HASH-NAME: DIR the store directory (/nix/store, /gnu/store, or
 * any other), HASH 32 characters of 0-9a-z, NAME of [0-9A-Za-z+._?=-]. It may be a
 * directory, a plain file or a symlink.
 */
#ifndef DT_STORE_H
#define DT_STORE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct err;

enum { STORE_HASH = 32, STORE_NAME_MAX = 255 };

/*
 * A store: `dir` is what its paths begin with, `root` the directory in front of it on
 * this machine ("" in general; `/mnt` for a store seen at /mnt/nix/store whose paths
 * read /nix/store/...). `dir` is NULL until the first path tells.
 */
struct store {
	char *dir, *root;
};

/*
 * The store that --store DIR names: DIR itself, or, where DIR/nix/store or
 * DIR/gnu/store is a directory, the store of the system rooted at DIR (what `nix --store
 * DIR` means). NULL leaves it to store_adopt(). Ends the process if DIR is not a
 * directory or cannot be examined.
 */
void store_init(struct store *s, const char *dir);
void store_release(struct store *s);

/* The length of the HASH-NAME that `s` begins with, or 0. */
size_t store_base_len(const char *s, size_t len);

/*
 * The NAME of a store path, which an update keeps, unlike its HASH: the last component
 * behind its first '-'. Of a path that has none, the whole last component. Directories
 * in front of it, such as /my-store, do not count.
 */
const char *store_name(const char *path);

/*
 * The length of the part of `path` that is the store path, or 0 if it is in no store:
 * 48 for "/nix/store/HASH-bash/bin/sh". A store whose `dir` is not known yet is taken to
 * be the one of the path.
 */
size_t store_adopt(struct store *s, const char *path, size_t len);

/*
 * Whether `path` is exactly a store path of `s` (adopting its directory as above).
 * Returns 0, or -1 and why not.
 */
int store_check(struct store *s, const char *path, struct err *e);

/* Writes where the store path `path` lies on this machine: root and path. */
void store_locate(const struct store *s, const char *path, struct buf *out);

/*
 * Calls `found` for each mention of a store path in `text`, in order, repeated ones too:
 * DIR/HASH-NAME, or the same without its first slash. `hash` points at HASH; `len` is
 * that of HASH-NAME, as far as it reads like a name. `s->dir` must be set.
 */
void store_mentions(const struct store *s, const char *text, size_t text_len,
		    void (*found)(void *arg, const char *hash, size_t len), void *arg);

#endif
