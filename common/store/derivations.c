#include "store/derivations.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "store/drv.h"
#include "store/graph.h"
#include "store/nixdb.h"
#include "store/nixgraph.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int ask_database(struct graph *g, const char *file, struct err *e)
{
	struct nixdb *db = nixdb_open(file, e);
	int result = db != NULL ? nixdb_derivers(db, g, e) : -1;

	nixdb_close(db);
	return result;
}

static int ask_own_database(struct graph *g, const struct store *s, struct err *e)
{
	struct buf file = {0};
	struct stat st;

	nixdb_locate(s, &file);
	int result = io_stat(file.data, &st);
	if (result < 0)
		err_set_errno(e, "%s", file.data);
	else if (result > 0)
		result = ask_database(g, file.data, e);
	buf_release(&file);
	return result;
}

static int ask_graph(struct graph *g, const struct buf *text, const char *file,
		     struct err *e)
{
	struct graph all = {0};
	int result = nixgraph_parse(&all, text->data, text->len, file, e);

	for (size_t i = 0; result == 0 && i < g->paths.n; i++) {
		const char *path = g->paths.name[i];
		uint32_t node = strset_find(&all.paths, path, strlen(path));
		if (node != STRSET_NONE && all.node[node].deriver != NULL)
			g->node[i].deriver = mem_strdup(all.node[node].deriver);
	}
	graph_release(&all);
	return result;
}

/*
 * Reads a file, which may be a pipe, unless it starts like a database. Returns 1 for a
 * database, 0 for a text, or -1.
 */
static int read_graph(const char *file, struct buf *text, struct err *e)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), is_database = 0;

	if (fd < 0)
		return err_set_errno(e, "%s", file);
	ssize_t n = io_read(fd, buf_reserve(text, NIXDB_MAGIC), NIXDB_MAGIC);
	if (n == NIXDB_MAGIC && nixdb_has_magic(text->data))
		is_database = 1;
	else if (n >= 0)
		text->len = (size_t)n;
	if (n < 0 || (!is_database && io_slurp(fd, text, NIXGRAPH_LIMIT) < 0))
		is_database = err_set_errno(e, "%s", file);
	close(fd);
	return is_database;
}

int derivations_find(struct graph *g, const struct store *s, const char *file,
		     struct err *e)
{
	struct buf text = {0};

	if (file == NULL)
		return ask_own_database(g, s, e);
	int result = read_graph(file, &text, e);
	if (result > 0)
		result = ask_database(g, file, e);
	else if (result == 0 && text.len > 0)
		result = ask_graph(g, &text, file, e);
	buf_release(&text);
	return result;
}

static void add_outputs(struct derivations *d, uint32_t node, const json_t *drv)
{
	const char *name;
	json_t *output;

	json_object_foreach(json_object_get(drv, "outputs"), name, output)
	{
		const char *path = json_string_at(output, "path");
		if (path == NULL)
			continue;
		d->output = mem_grow(d->output, &d->cap, d->n + 1, sizeof *d->output);
		d->output[d->n++] = (struct nixdb_output){
		    .drv = node, .name = mem_strdup(name), .path = mem_strdup(path)};
	}
}

static int read_derivation(struct derivations *d, const struct graph *g, uint32_t node,
			   struct store *s, struct err *e)
{
	const char *path = g->paths.name[node];
	struct buf place = {0}, text = {0};
	json_t *drv = NULL;

	store_locate(s, path, &place);
	if (io_slurp_as(place.data, path, &text, DRV_LIMIT, e) == 0)
		drv = drv_parse(s, text.data, text.len, path, e);
	if (drv != NULL)
		add_outputs(d, node, drv);
	json_decref(drv);
	buf_release(&place);
	buf_release(&text);
	return drv != NULL ? 0 : -1;
}

static int compare_outputs(const void *a, const void *b)
{
	const struct nixdb_output *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int derivations_read(struct derivations *d, const struct graph *g, const uint32_t *order,
		     struct store *s, struct err *e)
{
	static const char ending[] = ".drv";
	int result = 0;

	for (size_t i = 0; result == 0 && i < g->paths.n; i++) {
		const char *path = g->paths.name[order[i]];
		size_t len = strlen(path), before = d->n;
		if (len <= strlen(ending) ||
		    strcmp(path + len - strlen(ending), ending) != 0)
			continue;
		result = read_derivation(d, g, order[i], s, e);
		if (d->n > before)
			qsort(d->output + before, d->n - before, sizeof *d->output,
			      compare_outputs);
	}
	return result;
}

void derivations_release(struct derivations *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->output[i].name);
		free(d->output[i].path);
	}
	free(d->output);
	*d = (struct derivations){0};
}
