/*
 * nixdb: the database of Nix or Guix, read by SQLite. Level 5.
 *
 * Nothing is ever written to it or beside it that its owner would not write, no daemon
 * is asked, and read permission is enough: see nixdb_open().
 */
#ifndef DT_NIXDB_H
#define DT_NIXDB_H

struct buf;
struct err;
struct graph;
struct nixdb;

/*
 * Opens the database `file`. One that another process changes meanwhile is read as it
 * was at one moment. Returns NULL and why on failure; the caller owns the result.
 */
struct nixdb *nixdb_open(const char *file, struct err *e);
void nixdb_close(struct nixdb *db);

/*
 * Sets `path` to the valid store path in the folder `dir` with this hash part, or to
 * any valid path if `hash` is NULL. Returns 1, or 0 if there is none, or -1 and why.
 */
int nixdb_find(struct nixdb *db, const char *dir, const char *hash, struct buf *path,
	       struct err *e);

/*
 * Completes `g`: gives every path in it its size (or NAR_UNKNOWN) and references, adds
 * those it refers to, and so on. Returns 0, or -1 and why, as where a path is not valid.
 */
int nixdb_closure(struct nixdb *db, struct graph *g, struct err *e);

#endif
