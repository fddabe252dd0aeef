#include "store/nixdb.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "store/graph.h"
#include "store/nar.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BUSY_MS = 5000,
	TRIES = 5,
	TICK = 1000,         /* steps of SQLite's virtual machine per on_tick() */
	TICKS_MIN = 10000,   /* number of ticks that every query may use */
	TICKS_PER_MIB = 2000 /* additional ticks for each MiB of the database */
};

/* The state of the files, to notice changes if SQLite takes no locks. */
struct state {
	struct stat main, wal; /* zeroed if the file is missing */
};

struct nixdb {
	char *file;
	sqlite3 *sql;
	bool unlocked; /* opened without locks */
	int64_t ticks_left;
	struct state before;
};

static const char magic[NIXDB_MAGIC] = "SQLite format 3";
static const char *const companions[] = {"", "-wal", "-journal"};
enum { N_COMPANIONS = sizeof companions / sizeof *companions };

static int look(const char *file, struct state *s, struct err *e)
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
static int is_unchanged(const char *file, const struct state *before, struct err *e)
{
	struct state now;

	if (look(file, &now, e) < 0)
		return -1;
	return is_same_file(&now.main, &before->main) &&
	       now.wal.st_size == before->wal.st_size &&
	       (now.wal.st_size == 0 || is_same_file(&now.wal, &before->wal));
}

bool nixdb_has_magic(const char data[NIXDB_MAGIC])
{
	return memcmp(data, magic, sizeof magic) == 0;
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

static int sql_error(const struct nixdb *db, struct err *e)
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
static void wind_up(struct nixdb *db)
{
	int64_t size = db->before.main.st_size + db->before.wal.st_size;

	db->ticks_left = TICKS_MIN + (size >> 20) * TICKS_PER_MIB;
}

/*
 * Restricts SQLite, because the file is untrusted. A view instead of a table could run
 * forever, and a function in the schema could have any effect.
 */
static void distrust(struct nixdb *db)
{
	static const int off[] = {SQLITE_DBCONFIG_ENABLE_VIEW,
				  SQLITE_DBCONFIG_ENABLE_TRIGGER,
				  SQLITE_DBCONFIG_TRUSTED_SCHEMA};

	for (size_t i = 0; i < sizeof off / sizeof *off; i++)
		sqlite3_db_config(db->sql, off[i], 0, NULL);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_progress_handler(db->sql, TICK, on_tick, db);
	wind_up(db);
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
		sql_error(db, e);
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
	struct state before;
	int result = 0, unchanged = 0;

	for (int i = 0; i < TRIES && result == 0 && !unchanged; i++) {
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
	static const char *const made[] = {"", "-wal", "-journal", "-shm"};
	struct buf dir = {0}, copy = {0};

	buf_addf(&dir, "%s/%s.XXXXXX", io_tmpdir(), err_tool());
	if (mkdtemp(dir.data) == NULL) {
		err_set_errno(e, "%s", dir.data);
		buf_release(&dir);
		return -1;
	}
	buf_addf(&copy, "%s/db.sqlite", dir.data);
	int result = copy_files(db->file, copy.data, e);
	if (result == 0 &&
	    connect(db, copy.data, SQLITE_OPEN_READWRITE, "", e) != SQLITE_OK)
		result = -1;
	for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
		buf_clear(&copy);
		buf_addf(&copy, "%s/db.sqlite%s", dir.data, made[i]);
		unlink(copy.data);
	}
	rmdir(dir.data);
	buf_release(&dir);
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

void nixdb_locate(const struct store *s, struct buf *file)
{
	if (strcmp(s->dir, "/gnu/store") == 0) {
		buf_addf(file, "%s/var/guix/db/db.sqlite", s->root);
		return;
	}
	const char *slash = strrchr(s->dir, '/');
	buf_addf(file, "%s%.*s/var/nix/db/db.sqlite", s->root, (int)(slash - s->dir),
		 s->dir);
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

static sqlite3_stmt *prepare(const struct nixdb *db, const char *text, struct err *e)
{
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(db->sql, text, -1, &stmt, NULL) == SQLITE_OK)
		return stmt;
	sql_error(db, e);
	return NULL;
}

/*
 * Returns the store path in a column, or NULL with the reason if the value is not a store
 * path.
 */
static const char *column_path(const struct nixdb *db, sqlite3_stmt *stmt, int column,
			       struct store *store, struct err *e)
{
	const char *path = (const char *)sqlite3_column_text(stmt, column);

	if (path == NULL)
		err_set(e, "%s: a reference to a path that is not in it", db->file);
	else if (strlen(path) != (size_t)sqlite3_column_bytes(stmt, column))
		err_set(e, "%s: a NUL byte in a path", db->file);
	else if (store_check(store, path, e) < 0)
		err_prefix(e, "%s", db->file);
	else
		return path;
	return NULL;
}

int nixdb_find(struct nixdb *db, const char *dir, const char *hash, struct buf *path,
	       struct err *e)
{
	struct store any = {0};
	struct buf from = {0}, to = {0};
	int rc, found = 0;

	wind_up(db);
	sqlite3_stmt *stmt = prepare(
	    db, "select path from ValidPaths where path >= ?1 and path < ?2 limit 2", e);

	if (stmt == NULL)
		return -1;
	if (hash == NULL) {
		buf_addstr(&from, "/");
		buf_addstr(&to, "0");
	} else {
		buf_addf(&from, "%s/%.*s-", dir, STORE_HASH, hash);
		buf_addf(&to, "%s/%.*s.", dir, STORE_HASH, hash); /* '.' follows '-' */
	}
	sqlite3_bind_text(stmt, 1, from.data, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, to.data, -1, SQLITE_STATIC);
	while (found >= 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *text = column_path(db, stmt, 0, &any, e);
		if (text == NULL) {
			found = -1;
		} else if (found == 0) {
			buf_clear(path);
			buf_addstr(path, text);
			found = 1;
		} else if (hash != NULL) {
			found = err_set(e, "%s: %s and %s have the same hash part",
					db->file, path->data, text);
		}
	}
	if (found >= 0 && rc != SQLITE_DONE)
		found = sql_error(db, e);
	sqlite3_finalize(stmt);
	store_release(&any);
	buf_release(&from);
	buf_release(&to);
	return found;
}

/* The state of reading a closure or derivers. */
struct db_reader {
	struct nixdb *db;
	struct graph *g;
	struct store store; /* the store of all paths */
	sqlite3_stmt *path, *refs;
};

/* Looks up the row of a node. Returns the result of SQLite. */
static int find_path(struct db_reader *r, uint32_t node)
{
	sqlite3_reset(r->path);
	sqlite3_bind_text(r->path, 1, r->g->paths.name[node], -1, SQLITE_STATIC);
	return sqlite3_step(r->path);
}

/* Sets the deriver of a node, or NULL if the database has none. */
static int read_deriver(struct db_reader *r, uint32_t node, struct err *e)
{
	const char *path;

	free(r->g->node[node].deriver);
	r->g->node[node].deriver = NULL;
	switch (find_path(r, node)) {
	case SQLITE_ROW:
		break;
	case SQLITE_DONE:
		return 0;
	default:
		return sql_error(r->db, e);
	}
	if (sqlite3_column_type(r->path, 0) == SQLITE_NULL)
		return 0;
	path = column_path(r->db, r->path, 0, &r->store, e);
	if (path == NULL)
		return -1;
	r->g->node[node].deriver = mem_strdup(path);
	return 0;
}

static int read_derivers(struct nixdb *db, struct graph *g, struct err *e)
{
	struct db_reader r = {.db = db, .g = g};
	int result = 0;

	r.path = prepare(db, "select deriver from ValidPaths where path = ?1", e);
	if (r.path == NULL)
		return -1;
	for (size_t i = 0; result == 0 && i < g->paths.n; i++)
		result = read_deriver(&r, (uint32_t)i, e);
	sqlite3_finalize(r.path);
	store_release(&r.store);
	return result;
}

static int read_refs(struct db_reader *r, uint32_t node, int64_t id, uint64_t size,
		     struct err *e)
{
	uint32_t *refs = NULL;
	size_t n = 0, cap = 0;
	int rc;

	sqlite3_reset(r->refs);
	sqlite3_bind_int64(r->refs, 1, id);
	while ((rc = sqlite3_step(r->refs)) == SQLITE_ROW) {
		const char *path = column_path(r->db, r->refs, 0, &r->store, e);
		if (path == NULL) {
			free(refs);
			return -1;
		}
		refs = mem_grow(refs, &cap, n + 1, sizeof *refs);
		refs[n++] = graph_node(r->g, path, strlen(path));
	}
	graph_define(r->g, node, size, refs, n);
	return rc == SQLITE_DONE ? 0 : sql_error(r->db, e);
}

static int read_path(struct db_reader *r, uint32_t node, struct err *e)
{
	const char *name = r->g->paths.name[node];

	switch (find_path(r, node)) {
	case SQLITE_ROW:
		break;
	case SQLITE_DONE:
		return err_set(e, "%s: not a valid path in %s", name, r->db->file);
	default:
		return sql_error(r->db, e);
	}
	int64_t id = sqlite3_column_int64(r->path, 0),
		size = sqlite3_column_int64(r->path, 1);
	return read_refs(r, node, id, size > 0 ? (uint64_t)size : NAR_UNKNOWN, e);
}

static int read_closure(struct nixdb *db, struct graph *g, struct err *e)
{
	struct db_reader r = {.db = db, .g = g};
	int result = -1;

	r.path = prepare(db, "select id, narSize from ValidPaths where path = ?1", e);
	if (r.path != NULL)
		r.refs =
		    prepare(db,
			    "select path from Refs left join ValidPaths on reference = id"
			    " where referrer = ?1",
			    e);
	if (r.refs != NULL)
		result = 0;
	for (size_t i = 0; result == 0 && i < g->paths.n; i++)
		result = read_path(&r, (uint32_t)i, e);
	sqlite3_finalize(r.path);
	sqlite3_finalize(r.refs);
	store_release(&r.store);
	return result;
}

/*
 * Returns 1 if the data that was just read is consistent, 0 if it must be read again, or
 * -1 with the reason.
 */
static int is_steady(struct nixdb *db, struct err *e)
{
	int unchanged = db->unlocked ? is_unchanged(db->file, &db->before, e) : 1;

	if (unchanged != 0)
		return unchanged;
	disconnect(db);
	return connect_somehow(db, e);
}

static int never_steady(const struct nixdb *db, struct err *e)
{
	return err_set(e, "%s: keeps changing while it is read", db->file);
}

int nixdb_closure(struct nixdb *db, struct graph *g, struct err *e)
{
	size_t n_roots = g->paths.n;

	for (int i = 0; i < TRIES; i++) {
		struct graph all = {0};
		wind_up(db);
		for (size_t k = 0; k < n_roots; k++)
			graph_node(&all, g->paths.name[k], strlen(g->paths.name[k]));
		int result = read_closure(db, &all, e), steady = is_steady(db, e);
		if (steady > 0) {
			graph_release(g);
			*g = all;
			return result;
		}
		graph_release(&all);
		if (steady < 0)
			return -1;
	}
	return never_steady(db, e);
}

int nixdb_derivers(struct nixdb *db, struct graph *g, struct err *e)
{
	for (int i = 0; i < TRIES; i++) {
		wind_up(db);
		int result = read_derivers(db, g, e), steady = is_steady(db, e);
		if (steady != 0)
			return steady < 0 ? -1 : result;
	}
	return never_steady(db, e);
}
