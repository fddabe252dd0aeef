#include "store/nixdb.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/scratch.h"
#include "store/graph.h"
#include "store/nixdb-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOTS "/gcroots/docker"

/* The state of nixdb_write_tree(). */
struct maker {
	const char *top;
	struct buf state; /* the directory of all files in the image */
	struct buf path;  /* path of the current file */
	struct err *e;
};

/* Sets the path of a file in the state's directory. */
static const char *in_state(struct maker *m, const char *name)
{
	buf_clear(&m->path);
	buf_addf(&m->path, "%s%s%s", m->top, m->state.data, name);
	return m->path.data;
}

static int failed(const struct maker *m)
{
	return err_set_errno(m->e, "%s", m->path.data);
}

/* Sets the mode separately, because output must not depend on the umask. */
static int make_directory(struct maker *m, const char *path)
{
	return mkdir(path, 0700) < 0 || chmod(path, 0755) < 0 ? failed(m) : 0;
}

/* Makes the state's directory and its parents. */
static int make_state(struct maker *m)
{
	int result = 0;

	in_state(m, "/");
	for (char *p = m->path.data + strlen(m->top) + 1; result == 0; p++) {
		p = strchr(p, '/');
		if (p == NULL)
			break;
		*p = '\0';
		result = make_directory(m, m->path.data);
		*p = '/';
	}
	return result;
}

static int make_file(struct maker *m, const char *name, const char *data, size_t len)
{
	int fd = open(in_state(m, name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return failed(m);
	int result = 0;
	if (io_write(fd, data, len) < 0 || fchmod(fd, 0644) < 0)
		result = failed(m);
	if (close(fd) < 0 && result == 0)
		result = failed(m);
	return result;
}

static int make_symlink(struct maker *m, const char *name, const char *target)
{
	return symlink(target, in_state(m, name)) < 0 ? failed(m) : 0;
}

static int make_root(struct maker *m, const char *path)
{
	struct buf name = {0};

	buf_addf(&name, ROOTS "%s", strrchr(path, '/'));
	int result = make_symlink(m, name.data, path);
	buf_release(&name);
	return result;
}

/*
 * Guix makes the roots of profiles together with the directory of roots, so it does not
 * make them in an image that has this directory.
 */
static int make_profiles(struct maker *m)
{
	struct buf profiles = {0};

	buf_addf(&profiles, "%s/profiles", m->state.data);
	int result = make_directory(m, in_state(m, "/profiles"));
	if (result == 0)
		result = make_symlink(m, "/gcroots/profiles", profiles.data);
	buf_release(&profiles);
	return result;
}

static int make_tree(struct maker *m, const struct nixdb_contents *from,
		     const struct buf *database, const bool *is_root)
{
	static const char *const directories[] = {"/db", "/gcroots", ROOTS};
	bool is_guix = nixdb_is_guix(from->dir);
	const char *schema = is_guix ? NIXDB_GUIX_SCHEMA : NIXDB_NIX_SCHEMA;
	int result = make_state(m);

	for (size_t i = 0; result == 0 && i < sizeof directories / sizeof *directories;
	     i++)
		result = make_directory(m, in_state(m, directories[i]));
	if (result < 0 ||
	    make_file(m, "/db/db.sqlite", database->data, database->len) < 0 ||
	    make_file(m, "/db/schema", schema, strlen(schema)) < 0 ||
	    (is_guix && make_profiles(m) < 0))
		return -1;
	for (size_t i = 0; result == 0 && i < from->g->paths.n; i++)
		if (is_root[i])
			result = make_root(m, from->g->paths.name[i]);
	return result;
}

int nixdb_write_tree(const char *dir, const struct nixdb_contents *from,
		     const struct buf *database, const bool *is_root, struct err *e)
{
	struct scratch top;
	struct buf name = {0};
	size_t len = strlen(dir);

	while (len > 1 && dir[len - 1] == '/')
		len--;
	buf_add(&name, dir, len);
	int result = scratch_make(&top, name.data, e);
	buf_release(&name);
	if (result < 0)
		return -1;
	struct maker m = {.top = top.path, .e = e};
	nixdb_state(from->dir, &m.state);
	result = make_tree(&m, from, database, is_root);
	if (result == 0 && (chmod(top.path, 0755) < 0 || scratch_keep(&top, dir) < 0))
		result = err_set_errno(e, "%s", dir);
	scratch_remove(&top);
	buf_release(&m.state);
	buf_release(&m.path);
	return result;
}
