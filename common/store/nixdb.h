/*
 * nixdb: the database of Nix or Guix, read and made by SQLite.
 *
 * To one that is read nothing is ever written, nor beside it, that its owner would not
 * write, no daemon is asked, and read permission is enough: see nixdb_open(). One that
 * is made comes to be in memory.
 */
#ifndef DT_NIXDB_H
#define DT_NIXDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct graph;
struct nixdb;
struct pathinfo;
struct store;

/* The bytes that every database begins with. */
enum { NIXDB_MAGIC = 16 };
bool nixdb_has_magic(const char data[NIXDB_MAGIC]);

/* Appends to `file` where the database of a store is, whose `dir` is set. */
void nixdb_locate(const struct store *s, struct buf *file);

/*
 * Opens the database `file`. One that another process changes meanwhile is read as it
 * was at one moment. Returns NULL and why on failure; the caller owns the result.
 */
struct nixdb *nixdb_open(const char *file, struct err *e);
void nixdb_close(struct nixdb *db);

/*
 * Sets `path` to the valid store path in the directory `dir` with this hash part, or to
 * any valid path if `hash` is NULL. Returns 1, or 0 if there is none, or -1 and why.
 */
int nixdb_find(struct nixdb *db, const char *dir, const char *hash, struct buf *path,
	       struct err *e);

/*
 * Completes `g`: gives every path in it its size (or NAR_UNKNOWN) and references, adds
 * those it refers to, and so on. Returns 0, or -1 and why, as where a path is not valid.
 */
int nixdb_closure(struct nixdb *db, struct graph *g, struct err *e);

/*
 * Sets the derivers of the paths in `g`, NULL where the database does not know the path
 * or its deriver. Returns 0, or -1 and why.
 */
int nixdb_derivers(struct nixdb *db, struct graph *g, struct err *e);

/* An output that a derivation of the graph describes. */
struct nixdb_output {
	uint32_t drv;
	char *name, *path;
};

/* What is in a new database. */
struct nixdb_contents {
	const struct graph *g; /* with its derivers */
	const uint32_t *order; /* of its nodes, references first: from graph_sort() */
	const struct pathinfo *registration; /* of each node */
	const struct nixdb_output *output;   /* n_outputs of them */
	size_t n_outputs;
	int64_t time; /* when all of them were registered, in seconds since 1970 */
};

/*
 * Appends to `out` the bytes of a database as Nix makes it (its schema 10) in which
 * the graph's paths are valid, as `nix-store --load-db` would register them. The same
 * contents give the same bytes. It is not in WAL mode, so that it can be read where
 * nothing can be written. Returns 0, or -1 and why.
 */
int nixdb_write(const struct nixdb_contents *from, struct buf *out, struct err *e);

/*
 * Makes the directory `dir`, which must be empty or not exist, with what Nix needs in an
 * image: nix/var/nix/db/{db.sqlite,schema}, and in nix/var/nix/gcroots/docker a symlink
 * to each path of `g` for which is_root[number] is true. Modes do not depend on the
 * umask. Returns 0, or -1 and why; then nothing is left of it.
 */
int nixdb_write_tree(const char *dir, const struct buf *database, const struct graph *g,
		     const bool *is_root, struct err *e);

#endif
