#include "store/nixdb.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/graph.h"
#include "store/nar.h"
#include "store/nixdb-private.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

sqlite3_stmt *nixdb_prepare(const struct nixdb *db, const char *text, struct err *e)
{
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(db->sql, text, -1, &stmt, NULL) == SQLITE_OK)
		return stmt;
	nixdb_failed(db, e);
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

	nixdb_wind_up(db);
	sqlite3_stmt *stmt = nixdb_prepare(
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
		found = nixdb_failed(db, e);
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
		return nixdb_failed(r->db, e);
	}
	if (sqlite3_column_type(r->path, 0) == SQLITE_NULL)
		return 0;
	path = column_path(r->db, r->path, 0, &r->store, e);
	if (path == NULL)
		return -1;
	r->g->node[node].deriver = mem_strdup(path);
	return 0;
}

static int read_derivers(struct nixdb *db, void *arg, struct err *e)
{
	struct graph *g = arg;
	struct db_reader r = {.db = db, .g = g};
	int result = 0;

	r.path = nixdb_prepare(db, "select deriver from ValidPaths where path = ?1", e);
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
	return rc == SQLITE_DONE ? 0 : nixdb_failed(r->db, e);
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
		return nixdb_failed(r->db, e);
	}
	int64_t id = sqlite3_column_int64(r->path, 0),
		size = sqlite3_column_int64(r->path, 1);
	return read_refs(r, node, id, size > 0 ? (uint64_t)size : NAR_UNKNOWN, e);
}

static int read_closure(struct nixdb *db, struct graph *g, struct err *e)
{
	struct db_reader r = {.db = db, .g = g};
	int result = -1;

	r.path =
	    nixdb_prepare(db, "select id, narSize from ValidPaths where path = ?1", e);
	if (r.path != NULL)
		r.refs = nixdb_prepare(
		    db,
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

int nixdb_steadily(struct nixdb *db,
		   int (*read)(struct nixdb *db, void *arg, struct err *e), void *arg,
		   struct err *e)
{
	for (int i = 0; i < NIXDB_TRIES; i++) {
		nixdb_wind_up(db);
		int result = read(db, arg, e), steady = nixdb_is_steady(db, e);
		if (steady != 0)
			return steady < 0 ? -1 : result;
	}
	return err_set(e, "%s: keeps changing while it is read", db->file);
}

struct closing {
	const struct strset *roots;
	struct graph g;
};

static int read_closing(struct nixdb *db, void *arg, struct err *e)
{
	struct closing *c = arg;

	graph_release(&c->g);
	c->g = (struct graph){0};
	for (size_t i = 0; i < c->roots->n; i++)
		graph_node(&c->g, c->roots->name[i], strlen(c->roots->name[i]));
	return read_closure(db, &c->g, e);
}

int nixdb_closure(struct nixdb *db, struct graph *g, struct err *e)
{
	struct closing c = {.roots = &g->paths};

	if (nixdb_steadily(db, read_closing, &c, e) < 0) {
		graph_release(&c.g);
		return -1;
	}
	graph_release(g);
	*g = c.g;
	return 0;
}

int nixdb_derivers(struct nixdb *db, struct graph *g, struct err *e)
{
	return nixdb_steadily(db, read_derivers, g, e);
}
