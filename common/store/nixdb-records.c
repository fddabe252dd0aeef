#include "store/nixdb.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/strset.h"
#include "store/graph.h"
#include "store/nixdb-private.h"

#include <stdlib.h>
#include <string.h>

void nixdb_record_release(struct nixdb_record *r)
{
	for (size_t i = 0; i < r->n_refs; i++)
		free(r->ref[i]);
	free(r->ref);
	free(r->signatures);
	free(r->ca);
	*r = (struct nixdb_record){0};
}

/* A copy of a column, or NULL if it is NULL. */
static char *text_at(sqlite3_stmt *stmt, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);

	return text != NULL ? mem_strdup(text) : NULL;
}

static int read_row(const struct nixdb *db, sqlite3_stmt *stmt, const char *path,
		    struct nixdb_record *r, struct err *e)
{
	const char *hash = (const char *)sqlite3_column_text(stmt, 1);
	int64_t size = sqlite3_column_int64(stmt, 2);

	if (hash == NULL || strncmp(hash, "sha256:", 7) != 0 ||
	    digest_pin(hash, r->sha256) < 0)
		return err_set(e, "%s: %s has no SHA-256", db->file, path);
	if (size <= 0)
		return err_set(e, "%s: %s has no size", db->file, path);
	r->size = (uint64_t)size;
	r->is_ultimate = sqlite3_column_int(stmt, 3) != 0;
	r->signatures = text_at(stmt, 4);
	r->ca = text_at(stmt, 5);
	return 0;
}

static int read_references(const struct nixdb *db, sqlite3_stmt *stmt, int64_t id,
			   struct nixdb_record *r, struct err *e)
{
	size_t cap = 0;
	int rc;

	sqlite3_reset(stmt);
	sqlite3_bind_int64(stmt, 1, id);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		r->ref = mem_grow(r->ref, &cap, r->n_refs + 1, sizeof *r->ref);
		r->ref[r->n_refs] = text_at(stmt, 0);
		if (r->ref[r->n_refs] == NULL)
			return err_set(e, "%s: a reference to a path that is not in it",
				       db->file);
		r->n_refs++;
	}
	return rc == SQLITE_DONE ? 0 : nixdb_failed(db, e);
}

static int read_one(const struct nixdb *db, sqlite3_stmt *row, sqlite3_stmt *refs,
		    const char *path, struct nixdb_record *r, struct err *e)
{
	nixdb_record_release(r);
	sqlite3_reset(row);
	sqlite3_bind_text(row, 1, path, -1, SQLITE_STATIC);
	int rc = sqlite3_step(row);
	if (rc == SQLITE_DONE)
		return err_set(e, "%s: not a valid path in %s", path, db->file);
	if (rc != SQLITE_ROW)
		return nixdb_failed(db, e);
	if (read_row(db, row, path, r, e) < 0)
		return -1;
	return read_references(db, refs, sqlite3_column_int64(row, 0), r, e);
}

struct reading {
	const struct graph *g;
	struct nixdb_record *record;
};

static int read_all(struct nixdb *db, void *arg, struct err *e)
{
	const struct reading *r = arg;
	sqlite3_stmt *row = nixdb_prepare(db,
					  "select id, hash, narSize, ultimate, sigs, ca "
					  "from ValidPaths where path = ?1",
					  e);
	sqlite3_stmt *refs =
	    row == NULL
		? NULL
		: nixdb_prepare(db,
				"select path from Refs left join ValidPaths on "
				"reference = id where referrer = ?1 order by path",
				e);
	int result = refs != NULL ? 0 : -1;

	for (size_t i = 0; result == 0 && i < r->g->paths.n; i++)
		result = read_one(db, row, refs, r->g->paths.name[i], &r->record[i], e);
	sqlite3_finalize(row);
	sqlite3_finalize(refs);
	return result;
}

int nixdb_records(struct nixdb *db, const struct graph *g, struct nixdb_record *record,
		  struct err *e)
{
	struct reading r = {g, record};

	return nixdb_steadily(db, read_all, &r, e);
}
