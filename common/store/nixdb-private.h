/*
 * nixdb-private: the open database, and the differences of Nix and Guix, for the parts of
 * nixdb.
 */
#ifndef DT_NIXDB_PRIVATE_H
#define DT_NIXDB_PRIVATE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct buf;
struct err;

/* The versions of the tables, as in the file `schema` next to the database. */
#define NIXDB_NIX_SCHEMA "10"
#define NIXDB_GUIX_SCHEMA "7" /* that of Nix 1.3; Guix has always used it */

/* How often data that changes while it is read is read again. */
enum { NIXDB_TRIES = 5 };

/* The state of the files, to notice changes if SQLite takes no locks. */
struct nixdb_state {
	struct stat main, wal; /* zeroed if the file is missing */
};

struct nixdb {
	char *file;
	sqlite3 *sql;
	bool unlocked; /* opened without locks */
	int64_t ticks_left;
	struct nixdb_state before;
};

/* Returns whether the store with this directory belongs to Guix. */
bool nixdb_is_guix(const char *dir);

/*
 * Appends the directory of the database and the garbage collector's roots, in which Nix
 * or Guix keeps the state of the store `dir`: "/nix/var/nix" or "/var/guix".
 */
void nixdb_state(const char *dir, struct buf *path);

/* Sets the reason to the last error of SQLite. Returns -1. */
int nixdb_failed(const struct nixdb *db, struct err *e);

/* Prepares a query. Returns NULL with the reason in `e` on failure. */
sqlite3_stmt *nixdb_prepare(const struct nixdb *db, const char *text, struct err *e);

/*
 * Calls read(db, arg, e), and calls it again if the data changed in the meantime. read()
 * replaces the result of its earlier call. Returns the last value of read(), or -1 and a
 * reason if the data never was consistent.
 */
int nixdb_steadily(struct nixdb *db,
		   int (*read)(struct nixdb *db, void *arg, struct err *e), void *arg,
		   struct err *e);

/* Allows the next query, or all queries of a closure, as many steps as they may need. */
void nixdb_wind_up(struct nixdb *db);

/*
 * Returns 1 if the data that was just read is consistent, 0 if it must be read again, or
 * -1 with the reason.
 */
int nixdb_is_steady(struct nixdb *db, struct err *e);

#endif
