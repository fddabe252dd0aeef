#include "tree/tree.h"

#include "base/err.h"
#include "base/mem.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void tree_release(struct tree *t)
{
	for (size_t i = 0; i < t->n_origins; i++) {
		free(t->origin[i].path);
		free(t->origin[i].as_links);
		if (t->origin[i].archive >= 0)
			close(t->origin[i].archive);
	}
	free(t->origin);
	free(t->owner);
	free(t->entry);
	buf_release(&t->names);
	*t = (struct tree){0};
}

int64_t tree_ns(struct timespec ts)
{
	/* 64 bits reach from 1677 to 2262; a file's time may be any number. */
	const int64_t second = 1000000000, last = INT64_MAX / second - 1;

	if (ts.tv_sec > last || ts.tv_sec < -last)
		return ts.tv_sec > 0 ? last * second : -last * second;
	return (int64_t)ts.tv_sec * second + ts.tv_nsec;
}

uint64_t tree_state(const struct stat *st)
{
	return (uint64_t)tree_ns(st->st_ctim) + st->st_ino * 0x9e3779b97f4a7c15u;
}

static const char *name_of(const struct tree *t, uint32_t i)
{
	return t->names.data + t->entry[i].name;
}

static bool is_directory(const struct tree *t, uint32_t i)
{
	return S_ISDIR(t->entry[i].mode);
}

uint32_t tree_skip(const struct tree *t, uint32_t i)
{
	while (t->entry[i].parent != TREE_END) {
		const struct tree_entry *parent = &t->entry[t->entry[i].parent];
		if (i + 1 < parent->first + parent->count)
			return i + 1;
		i = t->entry[i].parent;
	}
	return TREE_END;
}

uint32_t tree_next(const struct tree *t, uint32_t i)
{
	return is_directory(t, i) && t->entry[i].count > 0 ? t->entry[i].first
							   : tree_skip(t, i);
}

/* Appends the path of `i` below its ancestor `top`. */
static void path_below(const struct tree *t, uint32_t i, uint32_t top, struct buf *out)
{
	size_t len = 0;

	for (uint32_t up = i; up != top; up = t->entry[up].parent)
		len += strlen(name_of(t, up)) + 1;
	if (len == 0)
		return;
	len--; /* no slash before the first name */
	char *end = buf_reserve(out, len) + len;
	out->len += len;
	*end = '\0';
	for (uint32_t up = i; up != top; up = t->entry[up].parent) {
		size_t n = strlen(name_of(t, up));
		end -= n;
		memcpy(end, name_of(t, up), n);
		if (t->entry[up].parent != top)
			*--end = '/';
	}
}

void tree_path(const struct tree *t, uint32_t i, struct buf *out)
{
	path_below(t, i, 0, out);
}

/* Appends the path of `i` in this origin. `path` is that of the origin's base. */
static void place_in(const struct tree *t, const struct tree_origin *origin,
		     const char *path, uint32_t i, struct buf *out)
{
	buf_addstr(out, path);
	if (i != origin->base)
		buf_addch(out, '/');
	path_below(t, i, origin->base, out);
}

const char *tree_link(const struct tree *t, uint32_t i, struct buf *scratch)
{
	const struct tree_entry *e = &t->entry[i];
	const struct tree_origin *origin = &t->origin[e->origin];

	if (e->link != TREE_END)
		return t->names.data + e->link;
	buf_clear(scratch);
	place_in(t, origin, origin->as_links, i, scratch);
	return scratch->data;
}

void tree_location(const struct tree *t, uint32_t i, struct buf *out)
{
	const struct tree_origin *origin = &t->origin[t->entry[i].origin];

	place_in(t, origin, origin->path, i, out);
}

uint32_t tree_find(const struct tree *t, const char *path)
{
	uint32_t i = 0;

	for (const char *p = path; *p != '\0' && i != TREE_END;) {
		size_t n = strcspn(p, "/");
		if (!is_directory(t, i))
			return TREE_END;
		const struct tree_entry *e = &t->entry[i];
		uint32_t end = e->first + e->count;
		for (i = e->first; i < end; i++)
			if (strncmp(name_of(t, i), p, n) == 0 && name_of(t, i)[n] == '\0')
				break;
		if (i == end)
			i = TREE_END;
		p += n + (p[n] == '/');
	}
	return i;
}

/*
 * A path that is longer than PATH_MAX is opened in parts, each relative to the directory
 * before it.
 */
int tree_open_path(char *path, int flags)
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

uint32_t tree_add_text(struct tree *t, const char *s)
{
	size_t at = t->names.len;

	buf_add(&t->names, s, strlen(s) + 1);
	if (t->names.len > UINT32_MAX)
		die("more than 4 GiB of names");
	return (uint32_t)at;
}

struct tree_entry *tree_add_entry(struct tree *t, uint32_t parent)
{
	if (t->n >= TREE_END)
		die("more than %zu files", t->n);
	t->entry = mem_grow(t->entry, &t->cap, t->n + 1, sizeof *t->entry);
	t->entry[t->n] = (struct tree_entry){.parent = parent, .owner = TREE_END};
	return &t->entry[t->n++];
}

uint32_t tree_add_origin(struct tree *t, const char *path, uint32_t base)
{
	t->origin =
	    mem_grow(t->origin, &t->cap_origins, t->n_origins + 1, sizeof *t->origin);
	t->origin[t->n_origins] =
	    (struct tree_origin){.path = mem_strdup(path), .base = base, .archive = -1};
	return (uint32_t)t->n_origins++;
}

uint32_t tree_add_archive(struct tree *t, const char *path, int fd, int64_t ctime)
{
	uint32_t origin = tree_add_origin(t, path, 0);

	t->origin[origin].archive = fd;
	t->origin[origin].ctime = ctime;
	return origin;
}

/* Returns whether the owner that was added last is this one. */
static bool is_last_owner(const struct tree *t, const struct tree_owner *owner,
			  const void *xattrs, size_t xattrs_len)
{
	if (t->n_owners == 0)
		return false;
	const struct tree_owner *last = &t->owner[t->n_owners - 1];
	return last->uid == owner->uid && last->gid == owner->gid &&
	       last->has_mtime == owner->has_mtime && last->mtime == owner->mtime &&
	       last->nsec == owner->nsec && last->dev == owner->dev &&
	       last->ino == owner->ino && last->xattrs_len == xattrs_len &&
	       (xattrs_len == 0 ||
		memcmp(t->names.data + last->xattrs, xattrs, xattrs_len) == 0);
}

uint32_t tree_add_owner(struct tree *t, const struct tree_owner *owner,
			const void *xattrs, size_t xattrs_len)
{
	struct tree_owner own = *owner;

	if (is_last_owner(t, owner, xattrs, xattrs_len))
		return (uint32_t)t->n_owners - 1;
	own.xattrs = (uint32_t)t->names.len;
	own.xattrs_len = (uint32_t)xattrs_len;
	buf_add(&t->names, xattrs, xattrs_len);
	if (t->names.len > UINT32_MAX)
		die("more than 4 GiB of names");
	t->owner = mem_grow(t->owner, &t->cap_owners, t->n_owners + 1, sizeof *t->owner);
	t->owner[t->n_owners] = own;
	return (uint32_t)t->n_owners++;
}

void tree_reader_init(struct tree_reader *r)
{
	*r = (struct tree_reader){.directory = -1, .parent = TREE_END};
}

void tree_reader_release(struct tree_reader *r)
{
	if (r->directory >= 0)
		close(r->directory);
	buf_release(&r->path);
	tree_reader_init(r);
}

int tree_open(struct tree_reader *r, const struct tree *t, uint32_t i, off_t *offset)
{
	const struct tree_entry *e = &t->entry[i];
	const struct tree_origin *origin = &t->origin[e->origin];
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

	*offset = 0;
	if (origin->archive >= 0) {
		*offset = (off_t)e->offset;
		return fcntl(origin->archive, F_DUPFD_CLOEXEC, 0);
	}
	buf_clear(&r->path);
	if (origin->base == i) {
		buf_addstr(&r->path, origin->path);
		return tree_open_path(r->path.data, flags);
	}
	if (r->directory < 0 || r->parent != e->parent || r->origin != e->origin) {
		if (r->directory >= 0)
			close(r->directory);
		place_in(t, origin, origin->path, e->parent, &r->path);
		r->directory = tree_open_path(r->path.data, O_PATH | O_DIRECTORY);
		if (r->directory < 0)
			return -1;
		r->parent = e->parent;
		r->origin = e->origin;
	}
	return openat(r->directory, name_of(t, i), flags);
}
