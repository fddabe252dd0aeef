#include "store/nixdb.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/graph.h"
#include "store/nixdb-private.h"
#include "store/pathinfo.h"

#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The tables of Nix and Guix, with the names that their queries use. */
#define TABLES_BEGIN                                      \
	"pragma page_size = 4096;"                        \
	"pragma auto_vacuum = none;"                      \
	"pragma encoding = 'UTF-8';"                      \
	"begin;"                                          \
	"create table ValidPaths ("                       \
	" id integer primary key autoincrement not null," \
	" path text unique not null,"                     \
	" hash text not null,"                            \
	" registrationTime integer not null,"             \
	" deriver text,"                                  \
	" narSize integer"
#define TABLES_END                                                                \
	");"                                                                      \
	"create table Refs ("                                                     \
	" referrer integer not null,"                                             \
	" reference integer not null,"                                            \
	" primary key (referrer, reference),"                                     \
	" foreign key (referrer) references ValidPaths(id) on delete cascade,"    \
	" foreign key (reference) references ValidPaths(id) on delete restrict);" \
	"create index IndexReferrer on Refs(referrer);"                           \
	"create index IndexReference on Refs(reference);"                         \
	"create trigger DeleteSelfRefs before delete on ValidPaths begin"         \
	" delete from Refs where referrer = old.id and reference = old.id; end;"  \
	"create table DerivationOutputs ("                                        \
	" drv integer not null,"                                                  \
	" id text not null,"                                                      \
	" path text not null,"                                                    \
	" primary key (drv, id),"                                                 \
	" foreign key (drv) references ValidPaths(id) on delete cascade);"        \
	"create index IndexDerivationOutputs on DerivationOutputs(path);"

/* NIXDB_NIX_SCHEMA. */
static const char nix_schema[] =
    TABLES_BEGIN ", ultimate integer, sigs text, ca text" TABLES_END;

/* NIXDB_GUIX_SCHEMA. */
static const char guix_schema[] =
    TABLES_BEGIN TABLES_END "create table FailedPaths ("
			    " path text primary key not null,"
			    " time integer not null);";

/* The state of nixdb_write(). */
struct db_writer {
	sqlite3 *sql;
	sqlite3_stmt *path, *ref, *output;
	const struct nixdb_contents *from;
	uint32_t *id; /* row of each node */
};

static int failed(const struct db_writer *w, struct err *e)
{
	return err_set(e, "cannot make the database: %s", sqlite3_errmsg(w->sql));
}

/* Inserts the row with the bound values. */
static int insert(const struct db_writer *w, sqlite3_stmt *stmt, struct err *e)
{
	int rc = sqlite3_step(stmt);

	if (rc != SQLITE_DONE)
		return failed(w, e);
	sqlite3_reset(stmt);
	return 0;
}

static int insert_path(const struct db_writer *w, uint32_t node, struct err *e)
{
	const struct pathinfo *r = &w->from->pathinfo[node];
	char hash[DIGEST_REFERENCE];

	digest_reference(r->sha256, hash);
	sqlite3_bind_int64(w->path, 1, w->id[node]);
	sqlite3_bind_text(w->path, 2, w->from->g->paths.name[node], -1, SQLITE_STATIC);
	sqlite3_bind_text(w->path, 3, hash, -1, SQLITE_STATIC);
	sqlite3_bind_int64(w->path, 4, w->from->time);
	sqlite3_bind_int64(w->path, 5, (int64_t)r->size);
	/* SQLite binds a NULL pointer as NULL. */
	sqlite3_bind_text(w->path, 6, w->from->g->node[node].deriver, -1, SQLITE_STATIC);
	return insert(w, w->path, e);
}

static int insert_ref(const struct db_writer *w, uint32_t from, uint32_t to,
		      struct err *e)
{
	sqlite3_bind_int64(w->ref, 1, from);
	sqlite3_bind_int64(w->ref, 2, to);
	return insert(w, w->ref, e);
}

static int compare_ids(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int insert_refs(const struct db_writer *w, uint32_t node, struct err *e)
{
	const struct graph_node *n = &w->from->g->node[node];
	uint32_t *to = mem_zero(n->n_refs, sizeof *to);
	int result = 0;

	for (size_t i = 0; i < n->n_refs; i++)
		to[i] = w->id[n->refs[i]];
	if (n->n_refs > 1)
		qsort(to, n->n_refs, sizeof *to, compare_ids);
	for (size_t i = 0; result == 0 && i < n->n_refs; i++)
		result = insert_ref(w, w->id[node], to[i], e);
	free(to);
	if (result == 0 && w->from->pathinfo[node].refers_to_itself)
		result = insert_ref(w, w->id[node], w->id[node], e);
	return result;
}

static int insert_output(const struct db_writer *w, const struct nixdb_output *o,
			 struct err *e)
{
	sqlite3_bind_int64(w->output, 1, w->id[o->drv]);
	sqlite3_bind_text(w->output, 2, o->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(w->output, 3, o->path, -1, SQLITE_STATIC);
	return insert(w, w->output, e);
}

static int insert_all(struct db_writer *w, struct err *e)
{
	static const char path[] =
	    "insert into ValidPaths (id, path, hash, registrationTime, narSize,"
	    " deriver) values (?1, ?2, ?3, ?4, ?5, ?6)";
	static const char ref[] =
	    "insert into Refs (referrer, reference) values (?1, ?2)";
	static const char output[] =
	    "insert into DerivationOutputs (drv, id, path) values (?1, ?2, ?3)";
	const char *schema = nixdb_is_guix(w->from->dir) ? guix_schema : nix_schema;
	size_t n = w->from->g->paths.n;
	int result = 0;

	if (sqlite3_exec(w->sql, schema, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(w->sql, path, -1, &w->path, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(w->sql, ref, -1, &w->ref, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(w->sql, output, -1, &w->output, NULL) != SQLITE_OK)
		return failed(w, e);
	for (size_t i = 0; result == 0 && i < n; i++)
		result = insert_path(w, w->from->order[i], e);
	for (size_t i = 0; result == 0 && i < n; i++)
		result = insert_refs(w, w->from->order[i], e);
	for (size_t i = 0; result == 0 && i < w->from->n_outputs; i++)
		result = insert_output(w, &w->from->output[i], e);
	if (result == 0 && sqlite3_exec(w->sql, "commit", NULL, NULL, NULL) != SQLITE_OK)
		result = failed(w, e);
	return result;
}

/*
 * Clears the fields of the header that depend on the version of SQLite: the change
 * counter, the counter when the version was set, and that version. All zero is valid.
 */
static void clear_version(unsigned char *bytes)
{
	enum { COUNTER = 24, VALID_FOR = 92, VERSION = 96, FIELD = 4 };

	memset(bytes + COUNTER, 0, FIELD);
	memset(bytes + VALID_FOR, 0, FIELD);
	memset(bytes + VERSION, 0, FIELD);
}

static int give(const struct db_writer *w, nixdb_take *take, void *arg, struct err *e)
{
	sqlite3_int64 len;
	unsigned char *bytes =
	    sqlite3_serialize(w->sql, "main", &len, SQLITE_SERIALIZE_NOCOPY);

	if (bytes == NULL)
		return err_set(e, "cannot make the database: out of memory");
	clear_version(bytes);
	const struct buf database = {(char *)bytes, (size_t)len, 0};
	return take(arg, &database, e);
}

int nixdb_write(const struct nixdb_contents *from, nixdb_take *take, void *arg,
		struct err *e)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
	struct db_writer w = {.from = from,
			      .id = mem_zero(from->g->paths.n, sizeof *w.id)};

	for (size_t i = 0; i < from->g->paths.n; i++)
		w.id[from->order[i]] = (uint32_t)i + 1;
	/* Unlike that of ":memory:", its memory is the bytes of the database file. */
	int result =
	    sqlite3_open_v2("file:nixdb?vfs=memdb", &w.sql, flags, NULL) == SQLITE_OK
		? 0
		: failed(&w, e);
	if (result == 0)
		result = insert_all(&w, e);
	sqlite3_finalize(w.path);
	sqlite3_finalize(w.ref);
	sqlite3_finalize(w.output);
	if (result == 0)
		result = give(&w, take, arg, e);
	sqlite3_close(w.sql);
	free(w.id);
	return result;
}
