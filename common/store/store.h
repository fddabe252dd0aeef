/*
 * store: recognize store paths and find them on disk.
 *
 * A store path is DIR/HASH-NAME. DIR is the store directory, such as /nix/store or
 * /gnu/store. HASH has 32 characters of 0-9a-z. NAME has characters of [0-9A-Za-z+._?=-].
 * A store path is a directory, a file or a symlink.
 *
 * A store may be mounted at another place, so that paths in it differ from paths on this
 * machine:
 *
 *	store_init(&s, "/mnt");
 *	store_locate(&s, "/nix/store/HASH-NAME", &out);      "/mnt/nix/store/HASH-NAME"
 */
#ifndef DT_STORE_H
#define DT_STORE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct err;

enum { STORE_HASH = 32, STORE_NAME_MAX = 255 };

/*
 * A store. `dir` is the start of its paths. `root` is the directory on this machine
 * before `dir`: usually "", or "/mnt" if the store is at /mnt/nix/store and its paths are
 * /nix/store/... `dir` may be NULL until the first path sets it.
 */
struct store {
	char *dir, *root;
};

/*
 * Opens the store of --store DIR. If DIR/nix/store or DIR/gnu/store is a directory, it is
 * the store of the system at DIR, as with `nix --store DIR`. Otherwise DIR is the store
 * itself. If `dir` is NULL, store_adopt() sets the store later. Ends the process if DIR
 * is not a directory or cannot be examined.
 */
void store_init(struct store *s, const char *dir);
void store_release(struct store *s);

/* Returns the length of the HASH-NAME at the start of `s`, or 0. */
size_t store_base_len(const char *s, size_t len);

/*
 * Returns the NAME of a store path, which starts after the first '-' of the last
 * component. Unlike the HASH, it stays the same in an update. Without a '-', the result
 * is the complete last component. Parent directories such as /my-store do not matter.
 */
const char *store_name(const char *path);

/*
 * Returns the length of the store path at the start of `path`: 48 for
 * "/nix/store/HASH-bash/bin/sh". Returns 0 if `path` is not in a store. If the directory
 * of the store is not known yet, it is taken from the path.
 */
size_t store_adopt(struct store *s, const char *path, size_t len);

/*
 * Checks that `path` is exactly a store path of `s`. An unknown store directory is taken
 * from the path. Returns 0, or -1 with the reason in `e`.
 */
int store_check(struct store *s, const char *path, struct err *e);

/* Writes the place of the store path on this machine: root and path. */
void store_locate(const struct store *s, const char *path, struct buf *out);

/*
 * Calls found() for each mention of a store path in `text`, in order and including
 * duplicates. A mention is DIR/HASH-NAME, with or without the first slash. `hash` points
 * to HASH. `len` is the length of HASH-NAME, up to the first character that a name cannot
 * contain. `s->dir` must be set.
 */
void store_mentions(const struct store *s, const char *text, size_t text_len,
		    void (*found)(void *arg, const char *hash, size_t len), void *arg);

#endif
