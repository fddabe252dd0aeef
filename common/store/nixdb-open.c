#include "store/nixdb.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/scratch.h"
#include "store/nixdb-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	BUSY_MS = 5000,
	TICK = 1000,          /* steps of SQLite's virtual machine per on_tick() */
	TICKS_MIN = 10000,    /* number of ticks that every query may use */
	TICKS_PER_MIB = 2000, /* additional ticks for each MiB of the database */
	VALUE_MAX = 1 << 16   /* bytes of a row or a value; a path has up to 4096 */
};

static const char *const companions[] = {"", "-wal", "-journal"};
enum { N_COMPANIONS = sizeof companions / sizeof *companions };

static int look(const char *file, struct nixdb_state *s, struct err *e)
{
	struct buf wal = {0};
	int result = 0;

	buf_addf(&wal, "%s-wal", file);
	if (io_stat(file, &s->main) < 0)
		result = err_set_errno(e, "%s", file);
	else if (io_stat(wal.data, &s->wal) < 0)
		result = err_set_errno(e, "%s", wal.data);
	buf_release(&wal);
	return result;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Returns 1 or 0, or -1 if the files cannot be examined. */
static int is_unchanged(const char *file, const struct nixdb_state *before, struct err *e)
{
	struct nixdb_state now;

	if (look(file, &now, e) < 0)
		return -1;
	return is_same_file(&now.main, &before->main) &&
	       now.wal.st_size == before->wal.st_size &&
	       (now.wal.st_size == 0 || is_same_file(&now.wal, &before->wal));
}

/* Returns 1 if the header of the database selects WAL mode, 0 if not, or -1. */
static int uses_wal(const char *file, struct err *e)
{
	enum { HEADER = 100, READ_VERSION = 19 };
	char header[HEADER];
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set_errno(e, "%s", file);
	ssize_t n = io_read(fd, header, sizeof header);
	int saved = errno;
	close(fd);
	errno = saved;
	if (n < 0)
		return err_set_errno(e, "%s", file);
	if (n < HEADER || !nixdb_has_magic(header))
		return err_set(e, "%s: not a database of Nix", file);
	return header[READ_VERSION] == 2;
}

int nixdb_failed(const struct nixdb *db, struct err *e)
{
	if (db->ticks_left <= 0)
		return err_set(e, "%s: damaged: a query does not end", db->file);
	return err_set(e, "%s: %s", db->file, sqlite3_errmsg(db->sql));
}

static void disconnect(struct nixdb *db)
{
	sqlite3_close_v2(db->sql);
	db->sql = NULL;
}

/* SQLite continues while the result is 0. */
static int on_tick(void *arg)
{
	struct nixdb *db = arg;

	return --db->ticks_left <= 0;
}

/*
 * Sets the number of steps for a query, or for all queries of a closure. In a damaged
 * database, pages may refer to each other so that a query never ends. An intact database
 * needs less than half a step for each byte: a reference needs about 12 steps and 30
 * bytes.
 */
void nixdb_wind_up(struct nixdb *db)
{
	int64_t size = db->before.main.st_size + db->before.wal.st_size;

	db->ticks_left = TICKS_MIN + (size >> 20) * TICKS_PER_MIB;
}

/*
 * Restricts SQLite, because the file is untrusted. A view instead of a table could run
 * forever, and a function in the schema could have any effect. A generated column could
 * have a value of a gigabyte.
 */
static void distrust(struct nixdb *db)
{
	static const int off[] = {SQLITE_DBCONFIG_ENABLE_VIEW,
				  SQLITE_DBCONFIG_ENABLE_TRIGGER,
				  SQLITE_DBCONFIG_TRUSTED_SCHEMA};

	for (size_t i = 0; i < sizeof off / sizeof *off; i++)
		sqlite3_db_config(db->sql, off[i], 0, NULL);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_limit(db->sql, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	sqlite3_progress_handler(db->sql, TICK, on_tick, db);
	nixdb_wind_up(db);
}

/*
 * Opens `file`, which is db->file or a copy, and starts a transaction, so that SQLite
 * actually reads the file. Returns the result of SQLite, with the reason in `e`.
 */
static int connect(struct nixdb *db, const char *file, int flags, const char *query,
		   struct err *e)
{
	struct buf uri = {0};

	buf_addstr(&uri, *file == '/' ? "file://" : "file:");
	for (; *file != '\0'; file++) {
		if (strchr("%?#", *file) != NULL)
			buf_addf(&uri, "%%%02x", (unsigned char)*file);
		else
			buf_addch(&uri, *file);
	}
	buf_addstr(&uri, query);
	int rc = sqlite3_open_v2(uri.data, &db->sql, flags | SQLITE_OPEN_URI, NULL);
	buf_release(&uri);
	if (db->sql == NULL)
		die("out of memory");
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(db->sql, BUSY_MS);
		distrust(db);
		rc = sqlite3_exec(db->sql, "begin; select id from ValidPaths limit 1",
				  NULL, NULL, NULL);
	}
	if (rc != SQLITE_OK) {
		nixdb_failed(db, e);
		disconnect(db);
	}
	return rc;
}

static int copy_file(const char *from, const char *to, struct err *e)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return errno == ENOENT ? 0 : err_set_errno(e, "%s", from);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int result = out < 0 ? err_set_errno(e, "%s", to) : 0;
	if (result == 0 && io_copy(in, NULL, out, UINT64_MAX) < 0)
		result = err_set_errno(e, "%s", to);
	if (out >= 0 && close(out) < 0 && result == 0)
		result = err_set_errno(e, "%s", to);
	close(in);
	return result;
}

/* Copies the database and its log to `to`. Tries again if they change meanwhile. */
static int copy_files(const char *file, const char *to, struct err *e)
{
	struct buf from = {0}, copy = {0};
	struct nixdb_state before;
	int result = 0, unchanged = 0;

	for (int i = 0; i < NIXDB_TRIES && result == 0 && !unchanged; i++) {
		result = look(file, &before, e);
		for (size_t k = 0; k < N_COMPANIONS && result == 0; k++) {
			buf_clear(&from);
			buf_clear(&copy);
			buf_addf(&from, "%s%s", file, companions[k]);
			buf_addf(&copy, "%s%s", to, companions[k]);
			unlink(copy.data);
			result = copy_file(from.data, copy.data, e);
		}
		if (result == 0)
			unchanged = is_unchanged(file, &before, e);
		if (unchanged < 0)
			result = -1;
	}
	if (result == 0 && !unchanged)
		result = err_set(e, "%s: keeps changing while it is read", file);
	buf_release(&from);
	buf_release(&copy);
	return result;
}

/*
 * Opens a copy. To read a log, SQLite must write files next to the database, and here it
 * has no permission. The files of the copy are unlinked as soon as they are open.
 */
static int connect_to_copy(struct nixdb *db, struct err *e)
{
	struct scratch dir;
	struct buf copy = {0};

	buf_addf(&copy, "%s/%s", io_tmpdir(), err_tool());
	int result = scratch_make(&dir, copy.data, e);
	if (result < 0) {
		buf_release(&copy);
		return -1;
	}
	buf_clear(&copy);
	buf_addf(&copy, "%s/db.sqlite", dir.path);
	result = copy_files(db->file, copy.data, e);
	if (result == 0 &&
	    connect(db, copy.data, SQLITE_OPEN_READWRITE, "", e) != SQLITE_OK)
		result = -1;
	scratch_remove(&dir);
	buf_release(&copy);
	return result;
}

/*
 * Opens the database. If the log is empty, the database file is complete and is opened as
 * immutable. Otherwise SQLite would have to create files next to it. is_unchanged() later
 * checks that nobody changed the file meanwhile.
 */
static int connect_somehow(struct nixdb *db, struct err *e)
{
	int wal = uses_wal(db->file, e);

	if (wal < 0 || look(db->file, &db->before, e) < 0)
		return -1;
	db->unlocked = wal && db->before.wal.st_size == 0;
	switch (connect(db, db->file, SQLITE_OPEN_READONLY,
			db->unlocked ? "?immutable=1" : "", e)) {
	case SQLITE_OK:
		return 0;
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return db->unlocked ? -1 : connect_to_copy(db, e);
	default:
		return -1;
	}
}

struct nixdb *nixdb_open(const char *file, struct err *e)
{
	struct nixdb *db = mem_zero(1, sizeof *db);

	db->file = mem_strdup(file);
	if (connect_somehow(db, e) == 0)
		return db;
	nixdb_close(db);
	return NULL;
}

void nixdb_close(struct nixdb *db)
{
	if (db == NULL)
		return;
	disconnect(db);
	free(db->file);
	free(db);
}

int nixdb_is_steady(struct nixdb *db, struct err *e)
{
	int unchanged = db->unlocked ? is_unchanged(db->file, &db->before, e) : 1;

	if (unchanged != 0)
		return unchanged;
	disconnect(db);
	return connect_somehow(db, e);
}
