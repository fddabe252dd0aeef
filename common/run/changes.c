#include "run/changes.h"

#include "archive/tar.h"
#include "archive/xattrs.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hardlinks.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "run/changes-private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LARGE = 1 << 20, /* larger files are read with O_DIRECT */
	WHITEOUT = sizeof ".wh." - 1,
	CAPABILITY_2 = 20, /* sizes of security.capability, versions 2 and 3 */
	CAPABILITY_3 = 24,
};

/* A directory that is being read. `parent` links to the directory above. */
struct directory {
	struct directory *parent;
	struct stat st;
	struct buf xattrs;
	int fd;
	int lower;       /* the same directory in the lower layer, or -1 */
	size_t path_len; /* length of its path in changes_writer.path */
	bool is_written; /* its entry and those above are in the tar */
};

struct entry {
	char *name;   /* name in the directory */
	char *member; /* name in the tar */
	bool is_whiteout;
};

/* --- extended attributes --- */

/*
 * A file capability set in a user namespace has version 3, which records the namespace's
 * root. If that is user 0, it is stored as version 2, which any reader can restore.
 */
static void add_capability(struct buf *records, const struct xattr *x)
{
	static const char root[4];
	char value[CAPABILITY_2];

	if (x->len != CAPABILITY_3 || x->value[3] != 3 ||
	    memcmp(x->value + CAPABILITY_2, root, sizeof root) != 0) {
		tar_xattr(records, x->name, x->value, x->len);
		return;
	}
	memcpy(value, x->value, sizeof value);
	value[3] = 2;
	tar_xattr(records, x->name, value, sizeof value);
}

/* The extended attributes of a file. */
struct attributes {
	struct buf *records;
	bool is_opaque; /* overlayfs marks it as opaque */
};

static int add_attribute(void *arg, const struct xattr *x)
{
	struct attributes *a = arg;

	if (xattrs_is_overlay(x->name)) {
		const char *what = strstr(x->name, ".overlay.") + 9;
		if (strcmp(what, "opaque") == 0 && x->len == 1 && x->value[0] == 'y')
			a->is_opaque = true;
	} else if (strcmp(x->name, "security.capability") == 0) {
		add_capability(a->records, x);
	} else if (xattrs_is_own(x->name)) {
		tar_xattr(a->records, x->name, x->value, x->len);
	}
	return 0;
}

/*
 * Adds the extended attributes to `records`. Sets *is_opaque if overlayfs marks the file
 * as opaque.
 */
static int read_attributes(struct changes_writer *w, int directory, const char *name,
			   struct buf *records, bool *is_opaque)
{
	struct attributes a = {.records = records};
	char path[NAME_MAX + 64];

	snprintf(path, sizeof path, "/proc/self/fd/%d/%s", directory, name);
	int result = xattrs_read(path, add_attribute, &a);
	*is_opaque = a.is_opaque;
	return result < 0 ? changes_failed(w) : 0;
}

/* --- entries --- */

/* Writes the entries of the directories above the next entry. */
static int put_directories(struct changes_writer *w, struct directory *f)
{
	if (f == NULL || f->is_written)
		return 0;
	if (put_directories(w, f->parent) < 0)
		return -1;
	f->is_written = true;
	if (f->path_len == 0)
		return 0;
	char cut = w->path.data[f->path_len];
	size_t len = w->path.len;
	w->path.data[f->path_len] = '\0';
	w->path.len = f->path_len;
	int result = changes_put_member(w, &f->st, NULL, false, &f->xattrs);
	w->path.data[f->path_len] = cut;
	w->path.len = len;
	return result;
}

static int put_whiteout(struct changes_writer *w, struct directory *f)
{
	static const struct stat nothing = {.st_mode = S_IFREG | 0644};

	if (put_directories(w, f) < 0)
		return -1;
	return changes_put_member(w, &nothing, NULL, false, NULL);
}

/*
 * The path under which a hard-linked file was written before. Otherwise records the
 * current path and returns NULL.
 */
static const char *first_name(struct changes_writer *w, const struct stat *st)
{
	if (st->st_nlink < 2)
		return NULL;
	size_t first = hardlinks_first(&w->links, st->st_dev, st->st_ino, w->paths.len);
	if (first < w->paths.len)
		return w->paths.data + first;
	buf_add(&w->paths, w->path.data, w->path.len + 1);
	return NULL;
}

static int put_file(struct changes_writer *w, struct directory *f, const char *name,
		    const struct stat *st, const struct buf *xattrs)
{
	bool is_direct = w->p->is_direct && st->st_size >= LARGE;
	struct stat now;
	int fd = openat(f->fd, name,
			O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (is_direct ? O_DIRECT : 0));

	if (fd < 0 && is_direct)
		fd = openat(f->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return changes_failed(w);
	int result = fstat(fd, &now) < 0 ? changes_failed(w) : 0;
	if (result == 0 && (now.st_size != st->st_size || now.st_ino != st->st_ino))
		result = err_set(w->e, "%s: changed while it was read", w->path.data);
	if (result == 0 && (changes_put_member(w, st, NULL, false, xattrs) < 0 ||
			    changes_put_contents(w, fd, st) < 0))
		result = -1;
	close(fd);
	return result;
}

/* Writes anything but a directory. */
static int put_entry(struct changes_writer *w, struct directory *f, const char *name,
		     const struct stat *st, const struct buf *xattrs)
{
	char target[PATH_MAX];

	if (S_ISSOCK(st->st_mode)) {
		warn("%s: a socket is ignored", w->path.data);
		return 0;
	}
	if (put_directories(w, f) < 0)
		return -1;
	const char *link = first_name(w, st);
	if (link != NULL)
		return changes_put_member(w, st, link, true, xattrs);
	if (S_ISREG(st->st_mode))
		return put_file(w, f, name, st, xattrs);
	if (!S_ISLNK(st->st_mode))
		return changes_put_member(w, st, NULL, false, xattrs);
	ssize_t n = readlinkat(f->fd, name, target, sizeof target - 1);
	if (n < 0)
		return changes_failed(w);
	target[n] = '\0';
	return changes_put_member(w, st, target, false, xattrs);
}

/* --- directories --- */

/* Makes the entry for a name in the directory. A whiteout gets its name in the tar. */
static int add_entry(struct changes_writer *w, struct entry *entry, int fd,
		     const char *name)
{
	struct stat st;
	struct buf member = {0};

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return changes_failed(w);
	*entry = (struct entry){.name = mem_strdup(name)};
	entry->is_whiteout = S_ISCHR(st.st_mode) && st.st_rdev == 0;
	buf_addf(&member, "%s%s", entry->is_whiteout ? ".wh." : "", name);
	entry->member = member.data;
	if (strncmp(name, ".wh.", WHITEOUT) == 0)
		return err_set(w->e, "%s%s%s: a layer can have no file of this name",
			       w->path.data, w->path.len > 0 ? "/" : "", name);
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	return utf8_compare(((const struct entry *)a)->member,
			    ((const struct entry *)b)->member);
}

static void free_entries(struct entry *entry, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(entry[i].name);
		free(entry[i].member);
	}
	free(entry);
}

/*
 * Lists a directory in the order of the tar. The caller must free the list in all cases.
 */
static int list_directory(struct changes_writer *w, int fd, struct entry **entry,
			  size_t *n)
{
	size_t cap = 0;
	struct dirent *d;
	int result = 0, again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = io_opendir(again);

	*entry = NULL;
	*n = 0;
	if (dir == NULL)
		return changes_failed(w);
	while (errno = 0, result == 0 && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		*entry = mem_grow(*entry, &cap, *n + 1, sizeof **entry);
		(*entry)[*n] = (struct entry){0};
		result = add_entry(w, &(*entry)[(*n)++], fd, d->d_name);
	}
	if (result == 0 && errno != 0)
		result = changes_failed(w);
	closedir(dir);
	if (result == 0 && *n > 0)
		qsort(*entry, *n, sizeof **entry, compare_entries);
	return result;
}

/* Returns 1 if the directory is empty, 0 if not, or -1 and a reason. */
static int is_empty(struct changes_writer *w, int fd)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = io_opendir(again);
	size_t n = 0;

	if (dir == NULL)
		return changes_failed(w);
	errno = 0;
	while (n < 3 && readdir(dir) != NULL)
		n++;
	int result = n < 3 && errno != 0 ? changes_failed(w) : n < 3;
	closedir(dir);
	return result;
}

/*
 * Whether the directory has the owner, mode and extended attributes of the lower one.
 * Returns 1 or 0, or -1 and a reason.
 */
static int is_as_below(struct changes_writer *w, struct directory *f)
{
	struct stat st;
	struct buf xattrs = {0};
	bool is_opaque;

	if (f->lower < 0)
		return 0;
	if (fstat(f->lower, &st) < 0)
		return changes_failed(w);
	if (st.st_mode != f->st.st_mode || st.st_uid != f->st.st_uid ||
	    st.st_gid != f->st.st_gid)
		return 0;
	int result = read_attributes(w, f->lower, ".", &xattrs, &is_opaque);
	if (result == 0)
		result = xattrs.len == f->xattrs.len &&
			 (xattrs.len == 0 ||
			  memcmp(xattrs.data, f->xattrs.data, xattrs.len) == 0);
	buf_release(&xattrs);
	return result;
}

static int put_directory(struct changes_writer *w, struct directory *f);

static int open_directory(struct changes_writer *w, int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? changes_failed(w) : fd;
}

/*
 * Sets *type to the type of the file `name` in the lower layer, or to 0 if there is none.
 * Returns 0, or -1 and a reason.
 */
static int stat_below(struct changes_writer *w, const struct directory *f,
		      const char *name, mode_t *type)
{
	struct stat st;

	*type = 0;
	if (f->lower < 0)
		return 0;
	if (fstatat(f->lower, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		*type = st.st_mode & S_IFMT;
	else if (errno != ENOENT)
		return changes_failed(w);
	return 0;
}

/* Writes a whiteout if the lower layer has the removed file. */
static int put_gone(struct changes_writer *w, struct directory *f, const char *name)
{
	mode_t below;

	if (stat_below(w, f, name, &below) < 0)
		return -1;
	return below != 0 ? put_whiteout(w, f) : 0;
}

/*
 * Writes the opaque marker of a directory that hides the lower one. The marker is omitted
 * if the lower directory is empty.
 */
static int put_opaque(struct changes_writer *w, struct directory *f)
{
	int empty = is_empty(w, f->lower), result = empty < 0 ? -1 : 0;

	if (empty == 0) {
		buf_addstr(&w->path, "/.wh..wh..opq");
		result = put_whiteout(w, f);
		w->path.len = f->path_len;
		w->path.data[w->path.len] = '\0';
	}
	if (result == 0)
		result = put_directories(w, f);
	close(f->lower);
	f->lower = -1;
	return result;
}

/* Writes the directory `name` of `f`. `in` has its extended attributes. */
static int put_subdirectory(struct changes_writer *w, struct directory *f,
			    const char *name, struct directory *in, bool is_opaque)
{
	mode_t below;
	int result = stat_below(w, f, name, &below);

	in->path_len = w->path.len;
	if (result == 0 && (in->fd = open_directory(w, f->fd, name)) < 0)
		result = -1;
	if (result == 0 && below == S_IFDIR &&
	    (in->lower = open_directory(w, f->lower, name)) < 0)
		result = -1;
	if (result == 0 && is_opaque && in->lower >= 0)
		result = put_opaque(w, in);
	if (result == 0)
		result = put_directory(w, in);
	if (in->fd >= 0)
		close(in->fd);
	if (in->lower >= 0)
		close(in->lower);
	return result;
}

/* Writes an entry of `f`. w->path is its path. */
static int put_name(struct changes_writer *w, struct directory *f,
		    const struct entry *entry)
{
	struct directory in = {.parent = f, .fd = -1, .lower = -1};
	bool is_opaque;
	int result;

	if (w->path.len >= PATH_MAX)
		return err_set(w->e, "%.200s...: a path of %zu bytes, more than %d",
			       w->path.data, w->path.len, PATH_MAX - 1);
	if (entry->is_whiteout)
		return put_gone(w, f, entry->name);
	if (fstatat(f->fd, entry->name, &in.st, AT_SYMLINK_NOFOLLOW) < 0)
		return changes_failed(w);
	result = read_attributes(w, f->fd, entry->name, &in.xattrs, &is_opaque);
	if (result == 0)
		result = S_ISDIR(in.st.st_mode)
			     ? put_subdirectory(w, f, entry->name, &in, is_opaque)
			     : put_entry(w, f, entry->name, &in.st, &in.xattrs);
	buf_release(&in.xattrs);
	return result;
}

/* Writes the entry of the directory, unless it is unchanged, and its contents. */
static int put_directory(struct changes_writer *w, struct directory *f)
{
	struct entry *entry;
	size_t n;
	int result = list_directory(w, f->fd, &entry, &n);

	if (result == 0 && !f->is_written) {
		int same = is_as_below(w, f);
		result = same < 0 ? -1 : same > 0 ? 0 : put_directories(w, f);
	}
	for (size_t i = 0; i < n && result == 0; i++) {
		if (f->path_len > 0)
			buf_addch(&w->path, '/');
		buf_addstr(&w->path, entry[i].member);
		result = put_name(w, f, &entry[i]);
		if (result == 0) {
			w->path.len = f->path_len;
			w->path.data[w->path.len] = '\0';
		}
	}
	free_entries(entry, n);
	return result;
}

/*
 * Writes an entry for the root only if its owner, mode or extended attributes have
 * changed.
 */
static int put_root(struct changes_writer *w)
{
	struct directory root = {.fd = w->p->upper, .lower = w->p->lower};
	bool is_opaque;

	if (fstat(root.fd, &root.st) < 0)
		return changes_failed(w);
	int result = read_attributes(w, root.fd, ".", &root.xattrs, &is_opaque);
	int same = result == 0 ? is_as_below(w, &root) : -1;
	if (same < 0)
		result = -1;
	else if (same == 0)
		result = changes_put_member(w, &root.st, NULL, false, &root.xattrs);
	root.is_written = true;
	result = result == 0 ? put_directory(w, &root) : result;
	buf_release(&root.xattrs);
	return result;
}

int changes_layer(struct changes *p, struct err *e)
{
	struct changes_writer w = {.p = p, .e = e};

	changes_begin(&w);
	buf_addstr(&w.path, "");
	int result = put_root(&w);
	if (result == 0)
		result = changes_end(&w);
	p->size = w.at;
	changes_release(&w);
	hardlinks_release(&w.links);
	buf_release(&w.path);
	buf_release(&w.paths);
	return result;
}
