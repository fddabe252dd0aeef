#include "store/nixdb.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "store/graph.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE "/nix/var/nix"
#define ROOTS STATE "/gcroots/docker"
#define SCHEMA "10"

/* The state of nixdb_write_tree(). */
struct maker {
	const char *top;
	struct buf path; /* path of the current file */
	struct err *e;
};

static const char *below(struct maker *m, const char *name)
{
	buf_clear(&m->path);
	buf_addf(&m->path, "%s%s", m->top, name);
	return m->path.data;
}

static int failed(const struct maker *m)
{
	return err_set_errno(m->e, "%s", m->path.data);
}

/* Sets the mode separately, because output must not depend on the umask. */
static int make_directory(struct maker *m, const char *name)
{
	const char *path = below(m, name);

	return mkdir(path, 0700) < 0 || chmod(path, 0755) < 0 ? failed(m) : 0;
}

static int make_file(struct maker *m, const char *name, const char *data, size_t len)
{
	int fd = open(below(m, name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return failed(m);
	int result = 0;
	if (io_write(fd, data, len) < 0 || fchmod(fd, 0644) < 0)
		result = failed(m);
	if (close(fd) < 0 && result == 0)
		result = failed(m);
	return result;
}

static int make_root(struct maker *m, const char *path)
{
	struct buf name = {0};

	buf_addf(&name, ROOTS "%s", strrchr(path, '/'));
	int result = symlink(path, below(m, name.data)) < 0 ? failed(m) : 0;
	buf_release(&name);
	return result;
}

static int make_tree(struct maker *m, const struct buf *database, const struct graph *g,
		     const bool *is_root)
{
	static const char *const directories[] = {"/nix",      "/nix/var",       STATE,
						  STATE "/db", STATE "/gcroots", ROOTS};
	int result = 0;

	for (size_t i = 0; result == 0 && i < sizeof directories / sizeof *directories;
	     i++)
		result = make_directory(m, directories[i]);
	if (result < 0 ||
	    make_file(m, STATE "/db/db.sqlite", database->data, database->len) < 0 ||
	    make_file(m, STATE "/db/schema", SCHEMA, strlen(SCHEMA)) < 0)
		return -1;
	for (size_t i = 0; result == 0 && i < g->paths.n; i++)
		if (is_root[i])
			result = make_root(m, g->paths.name[i]);
	return result;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	remove(path);
	return 0;
}

int nixdb_write_tree(const char *dir, const struct buf *database, const struct graph *g,
		     const bool *is_root, struct err *e)
{
	struct buf top = {0};
	size_t len = strlen(dir);

	while (len > 1 && dir[len - 1] == '/')
		len--;
	buf_addf(&top, "%.*s.XXXXXX", (int)len, dir);
	if (mkdtemp(top.data) == NULL) {
		err_set_errno(e, "%s", dir);
		buf_release(&top);
		return -1;
	}
	struct maker m = {.top = top.data, .e = e};
	int result = make_tree(&m, database, g, is_root);
	if (result == 0 && (chmod(top.data, 0755) < 0 || rename(top.data, dir) < 0))
		result = err_set_errno(e, "%s", dir);
	if (result < 0)
		nftw(top.data, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	buf_release(&m.path);
	buf_release(&top);
	return result;
}
