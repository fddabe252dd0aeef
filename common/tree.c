#include "tree.h"

#include "err.h"
#include "mem.h"
#include "utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void tree_release(struct tree *t)
{
	for (size_t i = 0; i < t->n_origins; i++)
		free(t->origin[i]);
	free(t->origin);
	free(t->entry);
	buf_release(&t->names);
	*t = (struct tree){0};
}

static const char *name_of(const struct tree *t, uint32_t i)
{
	return t->names.data + t->entry[i].name;
}

static const char *link_of(const struct tree *t, uint32_t i)
{
	return t->names.data + t->entry[i].link;
}

static bool is_folder(const struct tree_entry *e)
{
	return S_ISDIR(e->mode);
}

uint32_t tree_next(const struct tree *t, uint32_t i)
{
	if (t->entry[i].count > 0)
		return t->entry[i].first;
	while (t->entry[i].parent != TREE_END) {
		const struct tree_entry *parent = &t->entry[t->entry[i].parent];
		if (i + 1 < parent->first + parent->count)
			return i + 1;
		i = t->entry[i].parent;
	}
	return TREE_END;
}

void tree_path(const struct tree *t, uint32_t i, struct buf *out)
{
	size_t len = 0;

	for (uint32_t up = i; t->entry[up].parent != TREE_END; up = t->entry[up].parent)
		len += strlen(name_of(t, up)) + 1;
	if (len == 0)
		return;
	len--; /* no slash in front of the first name */
	char *end = buf_reserve(out, len) + len;
	out->len += len;
	*end = '\0';
	for (uint32_t up = i; t->entry[up].parent != TREE_END; up = t->entry[up].parent) {
		size_t n = strlen(name_of(t, up));
		end -= n;
		memcpy(end, name_of(t, up), n);
		if (t->entry[t->entry[up].parent].parent != TREE_END)
			*--end = '/';
	}
}

void tree_location(const struct tree *t, uint32_t i, struct buf *out)
{
	buf_addstr(out, t->origin[t->entry[i].origin]);
	if (t->entry[i].parent != TREE_END)
		buf_addch(out, '/');
	tree_path(t, i, out);
}

/*
 * Opens a path of any length: what is longer than PATH_MAX in pieces, each below the
 * folder before. Changes `path`.
 */
static int open_long(char *path, int flags)
{
	int at = AT_FDCWD;

	while (strlen(path) >= PATH_MAX) {
		char *cut = path + PATH_MAX - 1;
		while (*cut != '/' && cut > path)
			cut--;
		*cut = '\0';
		int next = openat(at, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (at != AT_FDCWD)
			close(at);
		if (next < 0)
			return -1;
		at = next;
		path = cut + 1;
	}
	int fd = openat(at, path, flags | O_CLOEXEC);
	if (at != AT_FDCWD)
		close(at);
	return fd;
}

static uint32_t add_text(struct tree *t, const char *s)
{
	size_t at = t->names.len;

	buf_add(&t->names, s, strlen(s) + 1);
	if (t->names.len > UINT32_MAX)
		die("more than 4 GiB of names");
	return (uint32_t)at;
}

static struct tree_entry *add_entry(struct tree *t, uint32_t parent)
{
	if (t->n >= TREE_END)
		die("more than %zu files", t->n);
	t->entry = mem_grow(t->entry, &t->cap, t->n + 1, sizeof *t->entry);
	t->entry[t->n] = (struct tree_entry){.parent = parent};
	return &t->entry[t->n++];
}

static uint32_t add_origin(struct tree *t, const char *path)
{
	t->origin = mem_resize(t->origin, t->n_origins + 1, sizeof *t->origin);
	t->origin[t->n_origins] = mem_strdup(path);
	return (uint32_t)t->n_origins++;
}

static int64_t nanoseconds(struct timespec ts)
{
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Fills in what stat(2) says of a new entry. */
static void set_status(struct tree *t, struct tree_entry *e, const struct stat *st)
{
	int64_t ctime = nanoseconds(st->st_ctim);

	e->mode = st->st_mode;
	e->mtime = nanoseconds(st->st_mtim);
	e->stamp = (uint64_t)ctime ^ (uint64_t)st->st_ino * 0x9e3779b97f4a7c15u;
	if (S_ISREG(st->st_mode)) {
		e->size = (uint64_t)st->st_size;
		t->bytes += e->size;
	} else if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		e->size = st->st_rdev;
	}
	if (ctime > t->newest)
		t->newest = ctime;
}

/* The target of the symlink `name` in `folder`; ends the process if it cannot be read. */
static uint32_t add_target(struct tree *t, int folder, const char *name, const char *path)
{
	char target[PATH_MAX + 1];
	ssize_t n = readlinkat(folder, name, target, PATH_MAX);

	if (n < 0)
		die_errno("%s", path);
	target[n] = '\0';
	return add_text(t, target);
}

static void scan_child(struct tree *t, uint32_t parent, int folder, const char *name,
		       const char *folder_path)
{
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		die_errno("%s/%s", folder_path, name);
	if (S_ISSOCK(st.st_mode)) {
		warn("%s/%s: a socket, left out", folder_path, name);
		return;
	}
	uint32_t text = add_text(t, name);
	uint32_t target =
	    S_ISLNK(st.st_mode) ? add_target(t, folder, name, folder_path) : 0;
	struct tree_entry *e = add_entry(t, parent);
	e->name = text;
	e->link = target;
	set_status(t, e, &st);
}

static int compare_entries(const void *a, const void *b, void *names)
{
	const struct tree_entry *x = a, *y = b;

	return utf8_compare((char *)names + x->name, (char *)names + y->name);
}

static void scan_folder(struct tree *t, uint32_t i)
{
	struct buf path = {0}, opened = {0};

	tree_location(t, i, &path);
	buf_add(&opened, path.data, path.len);
	int fd = open_long(opened.data, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL)
		die_errno("%s", path.data);
	size_t first = t->n;
	for (;;) {
		errno = 0;
		const struct dirent *d = readdir(dir);
		if (d == NULL && errno != 0)
			die_errno("%s", path.data);
		if (d == NULL)
			break;
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			scan_child(t, i, fd, d->d_name, path.data);
	}
	closedir(dir);
	t->entry[i].first = (uint32_t)first;
	t->entry[i].count = (uint32_t)(t->n - first);
	if (t->n > first)
		qsort_r(t->entry + first, t->n - first, sizeof *t->entry, compare_entries,
			t->names.data);
	buf_release(&path);
	buf_release(&opened);
}

void tree_scan(struct tree *t, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		die_errno("%s", path);
	uint32_t origin = add_origin(t, path);
	uint32_t name = add_text(t, "");
	uint32_t target = S_ISLNK(st.st_mode) ? add_target(t, AT_FDCWD, path, path) : 0;
	struct tree_entry *e = add_entry(t, TREE_END);
	e->name = name;
	e->link = target;
	set_status(t, e, &st);
	for (uint32_t i = 0; i < t->n; i++) {
		t->entry[i].origin = origin;
		if (is_folder(&t->entry[i]))
			scan_folder(t, i);
	}
}

/* Whether a relative link target leads out of the tree in whose folder it stands. */
static bool leads_out(const struct tree *t, uint32_t i, const char *target)
{
	int depth = -1; /* the link itself is no folder on the way */

	for (uint32_t up = i; t->entry[up].parent != TREE_END; up = t->entry[up].parent)
		depth++;
	for (const char *p = target; *p != '\0';) {
		size_t n = strcspn(p, "/");
		if (n == 2 && strncmp(p, "..", 2) == 0)
			depth--;
		else if (n > 0 && !(n == 1 && *p == '.'))
			depth++;
		if (depth < 0)
			return true;
		p += n + (p[n] == '/');
	}
	return false;
}

/* One source's entry on its way into a merged folder. */
struct candidate {
	const struct tree_source *source;
	uint32_t entry;
};

static const char *candidate_name(const struct candidate *c)
{
	return name_of(c->source->tree, c->entry);
}

static const struct tree_entry *candidate_entry(const struct candidate *c)
{
	return &c->source->tree->entry[c->entry];
}

/* By name; among the same names, the sources in the order in which they were given. */
static int compare_candidates(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int order = utf8_compare(candidate_name(x), candidate_name(y));

	if (order != 0)
		return order;
	return x->source < y->source ? -1 : x->source > y->source;
}

/* The link that stands for leaf `c`: its own if it is one that works here too. */
static void link_text(const struct candidate *c, struct buf *out)
{
	const struct tree *t = c->source->tree;

	buf_clear(out);
	if (S_ISLNK(t->entry[c->entry].mode)) {
		const char *target = link_of(t, c->entry);
		if (target[0] == '/' || !leads_out(t, c->entry, target)) {
			buf_addstr(out, target);
			return;
		}
	}
	buf_addstr(out, c->source->as_links);
	buf_addch(out, '/');
	tree_path(t, c->entry, out);
}

static void report_conflict(const struct candidate *a, const struct candidate *b)
{
	struct buf path = {0}, x = {0}, y = {0};

	tree_path(a->source->tree, a->entry, &path);
	if (is_folder(candidate_entry(a)) != is_folder(candidate_entry(b)))
		die("/%s is a folder in one and not in the other of %s and %s", path.data,
		    a->source->said_as, b->source->said_as);
	if (a->source->as_links != NULL && b->source->as_links != NULL) {
		link_text(a, &x);
		link_text(b, &y);
	}
	if (x.len == 0 || strcmp(x.data, y.data) != 0)
		warn("/%s is in both %s and %s; the first one is taken", path.data,
		     a->source->said_as, b->source->said_as);
	buf_release(&path);
	buf_release(&x);
	buf_release(&y);
}

/* The candidates that make up each merged folder, until it has been filled. */
struct folders {
	const struct tree_source *sources;
	struct candidate **list;
	size_t *n, cap, cap_n;
};

static void set_folder(struct folders *f, uint32_t i, const struct candidate *from,
		       size_t n)
{
	size_t had = f->cap;

	f->list = mem_grow(f->list, &f->cap, i + 1, sizeof *f->list);
	f->n = mem_grow(f->n, &f->cap_n, i + 1, sizeof *f->n);
	for (size_t k = had; k < f->cap; k++)
		f->list[k] = NULL;
	f->list[i] = mem_zero(n, sizeof *from);
	memcpy(f->list[i], from, n * sizeof *from);
	f->n[i] = n;
}

/* Adds the entry that all of from[0..n) of one name become. */
static void merge_entry(struct tree *t, uint32_t parent, struct folders *folders,
			const struct candidate *from, size_t n)
{
	const struct tree_source *source = from[0].source;
	const struct tree *old = source->tree;
	struct buf target = {0};

	for (size_t i = 1; i < n; i++)
		if (!is_folder(candidate_entry(&from[i])) ||
		    !is_folder(candidate_entry(&from[0])))
			report_conflict(&from[0], &from[i]);
	uint32_t name = add_text(t, candidate_name(&from[0])), link = 0;
	struct tree_entry copy = *candidate_entry(&from[0]);
	if (source->as_links != NULL && is_folder(&copy)) {
		copy.mode = S_IFDIR | 0755;
	} else if (source->as_links != NULL) {
		link_text(&from[0], &target);
		link = add_text(t, target.data);
		copy.mode = S_IFLNK | 0777;
	} else if (S_ISLNK(copy.mode)) {
		link = add_text(t, link_of(old, from[0].entry));
	}
	copy.parent = parent;
	copy.first = copy.count = 0;
	copy.name = name;
	copy.link = link;
	copy.origin = (uint32_t)(source - folders->sources);
	*add_entry(t, parent) = copy;
	if (is_folder(&copy))
		set_folder(folders, (uint32_t)t->n - 1, from, n);
	buf_release(&target);
}

static void merge_folder(struct tree *t, uint32_t i, struct folders *folders)
{
	struct candidate *all = NULL;
	size_t n = 0, cap = 0, first = t->n;

	for (size_t k = 0; k < folders->n[i]; k++) {
		struct candidate from = folders->list[i][k];
		const struct tree_entry *e = candidate_entry(&from);
		all = mem_grow(all, &cap, n + e->count, sizeof *all);
		for (uint32_t c = 0; c < e->count; c++)
			all[n++] = (struct candidate){from.source, e->first + c};
	}
	if (n > 0)
		qsort(all, n, sizeof *all, compare_candidates);
	for (size_t k = 0, same; k < n; k += same) {
		for (same = 1; k + same < n; same++)
			if (strcmp(candidate_name(&all[k]),
				   candidate_name(&all[k + same])) != 0)
				break;
		merge_entry(t, i, folders, &all[k], same);
	}
	t->entry[i].first = (uint32_t)first;
	t->entry[i].count = (uint32_t)(t->n - first);
	free(all);
	free(folders->list[i]);
	folders->list[i] = NULL;
}

void tree_merge(struct tree *t, const struct tree_source *sources, size_t n)
{
	struct folders folders = {.sources = sources};
	struct candidate *roots = mem_zero(n, sizeof *roots);

	for (size_t i = 0; i < n; i++) {
		if (!is_folder(&sources[i].tree->entry[0]))
			die("%s: not a folder, so it has no contents to put at the root",
			    sources[i].said_as);
		roots[i].source = &sources[i];
		add_origin(t, sources[i].tree->origin[0]);
		if (sources[i].tree->newest > t->newest)
			t->newest = sources[i].tree->newest;
	}
	uint32_t name = add_text(t, "");
	struct tree_entry *root = add_entry(t, TREE_END);
	root->name = name;
	root->mode = S_IFDIR | 0755;
	set_folder(&folders, 0, roots, n);
	for (uint32_t i = 0; i < t->n; i++)
		if (is_folder(&t->entry[i]))
			merge_folder(t, i, &folders);
	free(folders.list);
	free(folders.n);
	free(roots);
}

void tree_reader_init(struct tree_reader *r)
{
	*r = (struct tree_reader){.folder = -1, .parent = TREE_END};
}

void tree_reader_release(struct tree_reader *r)
{
	if (r->folder >= 0)
		close(r->folder);
	buf_release(&r->path);
	tree_reader_init(r);
}

int tree_open(struct tree_reader *r, const struct tree *t, uint32_t i)
{
	const struct tree_entry *e = &t->entry[i];
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

	buf_clear(&r->path);
	if (e->parent == TREE_END) {
		tree_location(t, i, &r->path);
		return open_long(r->path.data, flags);
	}
	if (r->folder < 0 || r->parent != e->parent || r->origin != e->origin) {
		if (r->folder >= 0)
			close(r->folder);
		buf_addstr(&r->path, t->origin[e->origin]);
		buf_addch(&r->path, '/');
		tree_path(t, e->parent, &r->path);
		r->folder = open_long(r->path.data, O_PATH | O_DIRECTORY);
		if (r->folder < 0)
			return -1;
		r->parent = e->parent;
		r->origin = e->origin;
	}
	return openat(r->folder, name_of(t, i), flags);
}
