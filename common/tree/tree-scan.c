#include "tree/tree.h"

#include "archive/path.h"
#include "archive/tar.h"
#include "archive/xattrs.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_directory(const struct tree_entry *e)
{
	return S_ISDIR(e->mode);
}

/* Sets the fields of a new entry from stat(2). */
static void set_status(struct tree *t, struct tree_entry *e, const struct stat *st)
{
	int64_t ctime = tree_ns(st->st_ctim);

	e->mode = (uint16_t)st->st_mode;
	e->mtime = tree_ns(st->st_mtim);
	e->state = tree_state(st);
	if (S_ISREG(st->st_mode)) {
		e->size = (uint64_t)st->st_size;
		t->bytes += e->size;
	} else if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		e->size = st->st_rdev;
	}
	if (ctime > t->newest)
		t->newest = ctime;
	bool is_lost = st->st_uid != 0 ? st->st_uid != geteuid() : st->st_gid != 0;
	if (is_lost && !t->has_strangers) {
		t->has_strangers = true;
		t->stranger_uid = st->st_uid;
		t->stranger_gid = st->st_gid;
	}
}

/* Adds the target of the symlink `name` in `directory`. Ends the process on failure. */
static uint32_t add_target(struct tree *t, int directory, const char *name,
			   const char *path)
{
	char target[PATH_MAX + 1];
	ssize_t n = readlinkat(directory, name, target, PATH_MAX);

	if (n < 0)
		die_errno("%s", path);
	target[n] = '\0';
	return tree_add_text(t, target);
}

/* --- extended attributes --- */

static int add_xattr(void *arg, const struct xattr *x)
{
	if (xattrs_is_own(x->name))
		tar_xattr(arg, x->name, x->value, x->len);
	return 0;
}

/* --- scanning --- */

/* The state of a scan and its current directory. */
struct scanner {
	struct tree *t;
	const struct tree_scan *how;
	char *place; /* `how->place` with symlinks resolved, or NULL */
	uint32_t directory;
	int fd;
	struct buf path;    /* path of the directory */
	struct buf child;   /* path of a child */
	struct buf records; /* xattrs of a child */
};

/* Returns the path of `name` in the directory. Valid until the next call. */
static const char *child_path(struct scanner *s, const char *name)
{
	struct buf *path = &s->child;

	buf_clear(path);
	if (s->path.len + strlen(name) + 1 < PATH_MAX)
		buf_addf(path, "%s/%s", s->path.data, name);
	else
		buf_addf(path, "/proc/self/fd/%d/%s", s->fd, name);
	return path->data;
}

/*
 * Returns whether the current directory or one of its parents is at `path`. Following a
 * symlink there would never end.
 */
static bool is_on_the_way(const struct scanner *s, const char *path)
{
	struct buf place = {0};
	bool found = false;

	for (uint32_t up = s->directory; up != TREE_END && !found;
	     up = s->t->entry[up].parent) {
		buf_clear(&place);
		tree_location(s->t, up, &place);
		found = strcmp(place.data, path) == 0;
	}
	buf_release(&place);
	return found;
}

/*
 * Resolves all symlinks in `path`. Returns NULL if the target does not exist. If `is_out`
 * is true, the target may be outside the source and also unreadable.
 */
static char *find_real(const char *path, bool is_out)
{
	char *real = realpath(path, NULL);

	if (real == NULL && errno != ENOENT && errno != ENOTDIR && errno != ELOOP &&
	    errno != ENAMETOOLONG && !(is_out && errno == EACCES))
		die_errno("%s", path);
	return real;
}

/*
 * Returns the directory that replaces the symlink `name` with this target, or NULL if the
 * symlink is kept. The caller frees the result.
 */
static char *followed(struct scanner *s, const char *name, const char *target)
{
	struct buf to = {0};
	struct stat st;
	bool is_in_store = s->place != NULL && path_is_in(target, s->how->store);

	if (is_in_store)
		buf_addf(&to, "%s%s", s->place, target + strlen(s->how->store));
	else if (target[0] != '/')
		buf_addstr(&to, child_path(s, name));
	char *real = to.len > 0 ? find_real(to.data, !is_in_store) : NULL;
	buf_release(&to);
	if (real != NULL && stat(real, &st) < 0)
		die_errno("%s", real);
	if (real != NULL && S_ISDIR(st.st_mode) &&
	    (path_is_in(real, s->t->origin[0].path) ||
	     (s->place != NULL && path_is_in(real, s->place))) &&
	    !is_on_the_way(s, real))
		return real;
	free(real);
	return NULL;
}

/* Sets the owner of a new entry. */
static void keep_owner(struct scanner *s, uint32_t i, const char *name,
		       const struct stat *st)
{
	struct tree_owner owner = {.uid = st->st_uid, .gid = st->st_gid};

	if (!S_ISDIR(st->st_mode) && st->st_nlink > 1) {
		owner.dev = st->st_dev;
		owner.ino = st->st_ino;
	}
	buf_clear(&s->records);
	if (!S_ISLNK(st->st_mode)) {
		const char *path =
		    name != NULL ? child_path(s, name) : s->t->origin[0].path;
		if (xattrs_read(path, add_xattr, &s->records) < 0)
			die_errno("%s", path);
	}
	s->t->entry[i].owner =
	    tree_add_owner(s->t, &owner, s->records.data, s->records.len);
}

/*
 * Turns the entry of a symlink into the directory at `path`. `link` temporarily holds
 * `path`, because its children are not yet known; see end_directory().
 */
static void follow(struct scanner *s, struct tree_entry *e, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		die_errno("%s", path);
	set_status(s->t, e, &st);
	e->link = tree_add_text(s->t, path);
}

static void check_type(const struct scanner *s, const char *name, mode_t mode)
{
	if (s->how->no_devices && !S_ISDIR(mode) && !S_ISREG(mode) && !S_ISLNK(mode))
		die("%s%s%s: a store path holds no device or FIFO", s->path.data,
		    name[0] != '\0' ? "/" : "", name);
}

static void scan_child(struct scanner *s, const char *name)
{
	struct tree *t = s->t;
	struct stat st;

	if (fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		die_errno("%s/%s", s->path.data, name);
	if (S_ISSOCK(st.st_mode)) {
		warn("%s/%s: a socket is ignored", s->path.data, name);
		return;
	}
	check_type(s, name, st.st_mode);
	uint32_t text = tree_add_text(t, name);
	uint32_t target =
	    S_ISLNK(st.st_mode) ? add_target(t, s->fd, name, s->path.data) : 0;
	struct tree_entry *e = tree_add_entry(t, s->directory);
	e->name = text;
	if (S_ISLNK(st.st_mode))
		e->link = target;
	e->origin = t->entry[s->directory].origin;
	set_status(t, e, &st);
	if (s->how->keep_owners)
		keep_owner(s, (uint32_t)t->n - 1, name, &st);
	char *path = S_ISLNK(st.st_mode) && s->how->follow
			 ? followed(s, name, t->names.data + target)
			 : NULL;
	if (path != NULL)
		follow(s, e, path);
	free(path);
}

static int compare_entries(const void *a, const void *b, void *names)
{
	const struct tree_entry *x = a, *y = b;

	return utf8_compare((char *)names + x->name, (char *)names + y->name);
}

/*
 * Sorts the children of a directory. Directories that replaced symlinks get their own
 * origin.
 */
static void end_directory(struct tree *t, uint32_t directory, uint32_t first)
{
	uint32_t n = (uint32_t)t->n - first;

	t->entry[directory].first = first;
	t->entry[directory].count = n;
	if (n > 0)
		qsort_r(t->entry + first, n, sizeof *t->entry, compare_entries,
			t->names.data);
	for (uint32_t i = first; i < first + n; i++) {
		struct tree_entry *e = &t->entry[i];
		if (is_directory(e) && e->link != 0) {
			e->origin = tree_add_origin(t, t->names.data + e->link, i);
			e->link = 0;
		}
	}
}

static void scan_directory(struct scanner *s, uint32_t directory)
{
	struct buf opened = {0};

	buf_clear(&s->path);
	tree_location(s->t, directory, &s->path);
	buf_add(&opened, s->path.data, s->path.len);
	s->directory = directory;
	s->fd = tree_open_path(opened.data, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	DIR *dir = io_opendir(s->fd);
	if (dir == NULL)
		die_errno("%s", s->path.data);
	uint32_t first = (uint32_t)s->t->n;
	for (;;) {
		errno = 0;
		const struct dirent *d = readdir(dir);
		if (d == NULL && errno != 0)
			die_errno("%s", s->path.data);
		if (d == NULL)
			break;
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			scan_child(s, d->d_name);
	}
	closedir(dir);
	end_directory(s->t, directory, first);
	buf_release(&opened);
}

/* Gives back the memory of entries that were not needed. Most trees are small. */
static void fit(struct tree *t)
{
	t->cap = t->n;
	t->entry = mem_resize(t->entry, t->cap, sizeof *t->entry);
	t->cap_origins = t->n_origins;
	t->origin = mem_resize(t->origin, t->cap_origins, sizeof *t->origin);
	t->names.cap = t->names.len + 1;
	t->names.data = mem_resize(t->names.data, t->names.cap, 1);
}

void tree_scan(struct tree *t, const char *path, const struct tree_scan *how)
{
	static const struct tree_scan plain = {0};
	struct scanner s = {.t = t, .how = how != NULL ? how : &plain};
	struct stat st;

	if (lstat(path, &st) < 0)
		die_errno("%s", path);
	if (s.how->place != NULL)
		s.place = find_real(s.how->place, false);
	tree_add_origin(t, path, 0);
	buf_addstr(&s.path, path);
	check_type(&s, "", st.st_mode);
	uint32_t name = tree_add_text(t, "");
	uint32_t target = S_ISLNK(st.st_mode) ? add_target(t, AT_FDCWD, path, path) : 0;
	struct tree_entry *e = tree_add_entry(t, TREE_END);
	e->name = name;
	if (S_ISLNK(st.st_mode))
		e->link = target;
	set_status(t, e, &st);
	if (s.how->keep_owners)
		keep_owner(&s, 0, NULL, &st);
	for (uint32_t i = 0; i < t->n; i++)
		if (is_directory(&t->entry[i]))
			scan_directory(&s, i);
	fit(t);
	free(s.place);
	buf_release(&s.path);
	buf_release(&s.child);
	buf_release(&s.records);
}
