/*
 * Databases of Nix and Guix. The paths that are found are store paths of one store, the
 * closure is complete, and reading leaves the file as it is and no files beside it.
 */
#include "store/nixdb.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "store/graph.h"
#include "store/store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct buf dir, file;

static void remove_files(void)
{
	unlink(file.data);
	rmdir(dir.data);
}

/* A directory for the database only. */
static void make_directory(void)
{
	buf_addf(&dir, "%s/nixdb.XXXXXX", io_tmpdir());
	if (mkdtemp(dir.data) == NULL)
		abort();
	buf_addf(&file, "%s/db.sqlite", dir.data);
	atexit(remove_files);
}

static void check_file(const uint8_t *data, size_t size)
{
	struct buf now = {0};

	if (io_slurp_file(file.data, &now, SIZE_MAX / 2) < 0 || now.len != size ||
	    memcmp(now.data, data, size) != 0)
		abort();
	buf_release(&now);
	if (unlink(file.data) < 0 || rmdir(dir.data) < 0) /* fails if others are there */
		abort();
	if (mkdir(dir.data, 0700) < 0)
		abort();
}

static void check_graph(const struct graph *g)
{
	struct store s = {0};
	uint32_t *order = mem_zero(g->paths.n, sizeof *order);
	struct err e;

	for (size_t i = 0; i < g->paths.n; i++) {
		const struct graph_node *node = &g->node[i];
		if (store_check(&s, g->paths.name[i], &e) < 0 || !node->known)
			abort();
		for (size_t k = 0; k < node->n_refs; k++)
			if (node->refs[k] >= g->paths.n || node->refs[k] == i)
				abort();
	}
	(void)graph_sort(g, order, &e);
	store_release(&s);
	free(order);
}

/* The derivers are store paths, too. */
static void check_derivers(struct nixdb *db, struct graph *g)
{
	struct store s = {0};
	struct err e;

	if (nixdb_derivers(db, g, &e) == 0)
		for (size_t i = 0; i < g->paths.n; i++)
			if (g->node[i].deriver != NULL &&
			    store_check(&s, g->node[i].deriver, &e) < 0)
				abort();
	store_release(&s);
}

static void check(struct nixdb *db)
{
	struct buf path = {0}, again = {0};
	struct graph g = {0};
	struct store s = {0};
	struct err e;

	if (nixdb_find(db, NULL, NULL, &path, &e) > 0) {
		if (store_check(&s, path.data, &e) < 0)
			abort();
		const char *hash = strrchr(path.data, '/') + 1;
		if (nixdb_find(db, s.dir, hash, &again, &e) > 0 &&
		    strncmp(again.data, path.data,
			    (size_t)(hash - path.data) + STORE_HASH) != 0)
			abort();
		graph_node(&g, path.data, path.len);
		if (nixdb_closure(db, &g, &e) == 0) {
			check_graph(&g);
			check_derivers(db, &g);
		}
	}
	store_release(&s);
	graph_release(&g);
	buf_release(&path);
	buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e;

	if (dir.len == 0)
		make_directory();
	int fd = open(file.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || io_write(fd, data, size) < 0 || close(fd) < 0)
		abort();
	struct nixdb *db = nixdb_open(file.data, &e);
	if (db != NULL)
		check(db);
	nixdb_close(db);
	check_file(data, size);
	return 0;
}
