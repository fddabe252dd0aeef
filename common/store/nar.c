#include "store/nar.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Returns the size of a string in a NAR: its length in 8 bytes, and its bytes padded to a
 * multiple of 8.
 */
static uint64_t string(uint64_t len)
{
	return 8 + (len + 7) / 8 * 8;
}

#define WORD(s) string(sizeof(s) - 1)

/* Returns the size of a node without the fields after its type. */
static uint64_t node(uint64_t type)
{
	return WORD("(") + WORD("type") + type + WORD(")");
}

static uint64_t regular(const struct stat *st)
{
	uint64_t mark = st->st_mode & S_IXUSR ? WORD("executable") + WORD("") : 0;

	return node(WORD("regular")) + mark + WORD("contents") +
	       string((uint64_t)st->st_size);
}

static uint64_t symbolic_link(size_t target_len)
{
	return node(WORD("symlink")) + WORD("target") + string(target_len);
}

/* Returns the size of a directory entry without its node. */
static uint64_t entry(size_t name_len)
{
	return WORD("entry") + WORD("(") + WORD("name") + string(name_len) +
	       WORD("node") + WORD(")");
}

/* The state of nar_walk(). */
struct walk {
	struct buf path; /* path of the current file */
	const struct nar_visitor *v;
	uint64_t size;
};

static void visit_text(const struct walk *w, const char *text, size_t len)
{
	if (w->v != NULL)
		w->v->text(w->v->arg, text, len);
}

static int add_link(struct walk *w, int dir, const char *name, struct err *e)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(dir, name, target, sizeof target);

	if (len < 0)
		return err_set_errno(e, "%s", w->path.data);
	w->size += symbolic_link((size_t)len);
	visit_text(w, target, (size_t)len);
	return 0;
}

static int add_file(struct walk *w, const struct stat *st, struct err *e)
{
	w->size += regular(st);
	return w->v == NULL
		   ? 0
		   : w->v->file(w->v->arg, w->path.data, (uint64_t)st->st_size, e);
}

/*
 * Adds `name` in the directory `dir` if it is a file or a symlink. w->path is its path.
 * Returns 1 if it is a directory. `type` is the hint of readdir(3).
 */
static int add_leaf(struct walk *w, int dir, const char *name, int type, struct err *e)
{
	struct stat st;

	if (type == DT_DIR)
		return 1;
	if (type == DT_LNK)
		return add_link(w, dir, name, e);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set_errno(e, "%s", w->path.data);
	if (S_ISDIR(st.st_mode))
		return 1;
	if (S_ISLNK(st.st_mode))
		return add_link(w, dir, name, e);
	if (S_ISREG(st.st_mode))
		return add_file(w, &st, e);
	return err_set(e, "%s: %s, which cannot be in a store path", w->path.data,
		       S_ISFIFO(st.st_mode)   ? "a FIFO"
		       : S_ISSOCK(st.st_mode) ? "a socket"
					      : "a device");
}

static void truncate_path(struct walk *w, size_t len)
{
	w->path.len = len;
	w->path.data[len] = '\0';
}

/*
 * Adds the entries of the open directory. Subdirectories are not added; their names are
 * appended to `directories`.
 */
static int add_entries(struct walk *w, DIR *dir, struct buf *directories, struct err *e)
{
	size_t here = w->path.len;

	for (;;) {
		errno = 0;
		const struct dirent *d = readdir(dir);
		if (d == NULL)
			return errno == 0 ? 0 : err_set_errno(e, "%s", w->path.data);
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		size_t len = strlen(d->d_name);
		w->size += entry(len);
		visit_text(w, d->d_name, len);
		buf_addch(&w->path, '/');
		buf_add(&w->path, d->d_name, len);
		int kind = add_leaf(w, dirfd(dir), d->d_name, d->d_type, e);
		if (kind < 0)
			return -1;
		if (kind > 0)
			buf_add(directories, d->d_name, len + 1);
		truncate_path(w, here);
	}
}

/*
 * Closes a directory before its subdirectories are visited, so that deep trees need no
 * more descriptors.
 */
static int add_directory(struct walk *w, struct err *e)
{
	size_t here = w->path.len;
	struct buf directories = {0};
	int fd = open(w->path.data, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = io_opendir(fd);

	if (dir == NULL)
		return err_set_errno(e, "%s", w->path.data);
	w->size += node(WORD("directory"));
	int result = add_entries(w, dir, &directories, e);
	closedir(dir);
	for (size_t at = 0; result == 0 && at < directories.len;) {
		size_t len = strlen(directories.data + at);
		buf_addch(&w->path, '/');
		buf_add(&w->path, directories.data + at, len);
		result = add_directory(w, e);
		truncate_path(w, here);
		at += len + 1;
	}
	buf_release(&directories);
	return result;
}

int nar_walk(const char *path, const struct nar_visitor *v, uint64_t *size, struct err *e)
{
	struct walk w = {.v = v, .size = WORD("nix-archive-1")};

	buf_addstr(&w.path, path);
	int result = add_leaf(&w, AT_FDCWD, path, DT_UNKNOWN, e);
	if (result > 0)
		result = add_directory(&w, e);
	*size = w.size;
	buf_release(&w.path);
	return result;
}
