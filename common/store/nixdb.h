/*
 * nixdb: read the database of Nix or Guix, and create a new database, with SQLite.
 *
 * The database contains the size, the references and the deriver of each store path.
 * Reading needs neither a daemon nor write permission, and works while Nix changes the
 * database:
 *
 *	struct nixdb *db = nixdb_open(file, &e);
 *	if (db == NULL || nixdb_closure(db, &graph, &e) < 0)
 *		die("%s", e.text);
 *	nixdb_close(db);
 *
 * An existing database and its directory are never changed in a way that its owner would
 * not. A new database is created in memory.
 */
#ifndef DT_NIXDB_H
#define DT_NIXDB_H

#include "base/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct graph;
struct nixdb;
struct pathinfo;
struct store;

/* The number of bytes at the start of every database, which identify it. */
enum { NIXDB_MAGIC = 16 };
bool nixdb_has_magic(const char data[NIXDB_MAGIC]);

/* Appends the path of a store's database to `file`. `s->dir` must be set. */
void nixdb_locate(const struct store *s, struct buf *file);

/*
 * Opens the database `file`. If another process changes it meanwhile, all data is from
 * the same moment. Returns NULL with the reason in `e` on failure. The caller closes the
 * result.
 */
struct nixdb *nixdb_open(const char *file, struct err *e);
void nixdb_close(struct nixdb *db);

/*
 * Sets `path` to the valid store path in the directory `dir` with this hash part. If
 * `hash` is NULL, sets it to any valid path. Returns 1 if there is one, 0 if not, or -1
 * with the reason in `e`.
 */
int nixdb_find(struct nixdb *db, const char *dir, const char *hash, struct buf *path,
	       struct err *e);

/*
 * Completes `g` to a closure. Sets the references and the size (or NAR_UNKNOWN) of every
 * path, adds the paths that it refers to, and so on. Returns 0, or -1 with the reason in
 * `e`, for example if a path is not valid.
 */
int nixdb_closure(struct nixdb *db, struct graph *g, struct err *e);

/*
 * Sets the derivers of the paths in `g`. The deriver is NULL if the database does not
 * contain the path or its deriver. Returns 0, or -1 with the reason in `e`.
 */
int nixdb_derivers(struct nixdb *db, struct graph *g, struct err *e);

/* The record of a store path in the database. */
struct nixdb_record {
	char sha256[DIGEST_HEX + 1]; /* of its NAR */
	uint64_t size;               /* of its NAR in bytes */
	bool is_ultimate;            /* it was built on this machine */
	char *signatures;            /* separated by blanks; or NULL */
	char *ca;                    /* from what its name was computed; or NULL */
	char **ref;                  /* its references, sorted, with itself */
	size_t n_refs;
};

/*
 * Sets record[i] for each path of `g`, all from the same moment. The caller provides
 * zeroed records, and must release them in both cases. Returns 0, or -1 with the reason
 * in `e`, for example if the database is that of Guix, which has no signatures.
 */
int nixdb_records(struct nixdb *db, const struct graph *g, struct nixdb_record *record,
		  struct err *e);
void nixdb_record_release(struct nixdb_record *r);

/* An output of a derivation in the graph. */
struct nixdb_output {
	uint32_t drv;
	char *name, *path;
};

/* The contents of a new database. */
struct nixdb_contents {
	const char *dir;       /* of the store */
	const struct graph *g; /* with its derivers */
	const uint32_t *order; /* the nodes from graph_sort(), references first */
	const struct pathinfo *pathinfo;   /* of each node */
	const struct nixdb_output *output; /* n_outputs outputs */
	size_t n_outputs;
	int64_t time; /* registration time of all paths in seconds since 1970 */
};

/*
 * Receives a complete database, which is valid during the call. Returns 0, or -1 with the
 * reason in `e`.
 */
typedef int nixdb_take(void *arg, const struct buf *database, struct err *e);

/*
 * Makes a new database, in which all paths of the graph are valid, and passes it to
 * `take`. Its schema is version 10 of Nix, or 7 of Guix if the store is /gnu/store. Its
 * contents are those after `nix-store --load-db`. The same contents give the same bytes.
 * The database does not use WAL mode, so that it can be read on a read-only file system.
 * Returns the result of `take`, or -1 with the reason in `e`.
 */
int nixdb_write(const struct nixdb_contents *from, nixdb_take *take, void *arg,
		struct err *e);

/*
 * Creates the directory `dir`, which must be empty or missing, with the files that Nix or
 * Guix needs in an image with the store from->dir. For /nix/store these are:
 *
 * - nix/var/nix/db/db.sqlite and nix/var/nix/db/schema;
 * - in nix/var/nix/gcroots/docker, a symlink to each path of the graph for which
 *   is_root[number] is true.
 *
 * For /gnu/store they are in var/guix, with the symlink gcroots/profiles to the directory
 * profiles. Modes do not depend on the umask. Returns 0, or -1 with the reason in `e`;
 * then nothing is left on disk.
 */
int nixdb_write_tree(const char *dir, const struct nixdb_contents *from,
		     const struct buf *database, const bool *is_root, struct err *e);

#endif
