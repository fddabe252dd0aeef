#include "store/references.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "store/nixdb.h"
#include "store/nixgraph.h"
#include "store/scan.h"
#include "store/store.h"

#include <string.h>
#include <sys/stat.h>

int references_open_graph(struct references *r, const char *file, struct err *e)
{
	struct buf text = {0};
	int result = io_slurp_as(file, file, &text, NIXGRAPH_LIMIT, e);

	if (result == 0 && text.len == 0)
		result = err_set(e, "%s: empty, a graph is expected", file);
	if (result == 0)
		result = nixgraph_parse(&r->exported, text.data, text.len, file, e);
	if (result == 0) {
		const char *any = r->exported.paths.name[0];
		store_adopt(r->store, any, strlen(any));
		r->file = file;
	}
	buf_release(&text);
	return result;
}

int references_open_db(struct references *r, const char *file, struct err *e)
{
	struct buf path = {0};
	int found = 0;

	r->db = nixdb_open(file, e);
	if (r->db == NULL)
		return -1;
	if (r->store->dir == NULL)
		found = nixdb_find(r->db, NULL, NULL, &path, e);
	if (found > 0)
		store_adopt(r->store, path.data, path.len);
	buf_release(&path);
	return found < 0 ? -1 : 0;
}

int references_open(struct references *r, bool is_scan, const struct cache *cache,
		    struct err *e)
{
	struct buf file = {0};
	struct stat st;
	int result = 0, found = 0;

	if (r->file != NULL || r->db != NULL)
		return 0;
	nixdb_locate(r->store, &file);
	if (!is_scan && (found = io_stat(file.data, &st)) < 0)
		result = err_set_errno(e, "%s", file.data);
	else if (found > 0)
		result = references_open_db(r, file.data, e);
	else
		result = (r->scan = scan_open(r->store, cache, e)) != NULL ? 0 : -1;
	if (result == 0 && found > 0)
		inform("references are taken from the database %s", file.data);
	else if (result == 0)
		inform("references are taken from the files: %s%s",
		       is_scan ? "--scan" : "there is no database ",
		       is_scan ? "" : file.data);
	buf_release(&file);
	return result;
}

void references_release(struct references *r)
{
	graph_release(&r->exported);
	nixdb_close(r->db);
	scan_close(r->scan);
	*r = (struct references){0};
}

int references_find(struct references *r, const char *hash, struct buf *path,
		    struct err *e)
{
	uint32_t node;

	buf_clear(path);
	if (r->db != NULL)
		return nixdb_find(r->db, r->store->dir, hash, path, e);
	if (r->file != NULL) {
		int found = nixgraph_find(&r->exported, hash, &node, e);
		if (found > 0)
			buf_addstr(path, r->exported.paths.name[node]);
		return found;
	}
	const char *base = scan_find(r->scan, hash, e);
	if (base == NULL)
		return e->text[0] != '\0' ? -1 : 0;
	buf_addf(path, "%s/%s", r->store->dir, base);
	return 1;
}

int references_closure(struct references *r, struct graph *g, struct err *e)
{
	if (r->db != NULL)
		return nixdb_closure(r->db, g, e);
	if (r->file != NULL)
		return nixgraph_closure(&r->exported, r->file, g, e);
	return scan_closure(r->scan, g, e);
}
