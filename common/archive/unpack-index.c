#include "archive/unpack.h"

#include "archive/path.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MEMBERS_MAX = 1 << 20,
	LINKS_MAX = 40, /* the limit of the kernel */
};

static const char blobs[] = "blobs/sha256";

/*
 * Returns the name without leading "./", "../" and "/", which is the member's path below
 * the root.
 */
static const char *strip(const char *name)
{
	for (;;) {
		if (name[0] == '/')
			name += 1;
		else if (strncmp(name, "./", 2) == 0)
			name += 2;
		else if (strncmp(name, "../", 3) == 0)
			name += 3;
		else
			return name;
	}
}

static struct unpack_place *add_place(struct unpack_index *x, const char *name)
{
	size_t before = x->names.n;
	uint32_t i = strset_add(&x->names, name, strlen(name));

	if (x->names.n > before)
		x->place = mem_grow(x->place, &x->cap, x->names.n, sizeof *x->place);
	else
		free(x->place[i].link);
	x->place[i] = (struct unpack_place){0};
	return &x->place[i];
}

/* --- archives --- */

/* Writes the contents of a sparse member to the end of the spool. */
static int expand(struct unpack_index *x, struct unpack_stream *s, struct unpack_place *p,
		  struct err *e)
{
	struct stat st;

	if (x->spool < 0)
		x->spool = io_tmpfile();
	if (x->spool < 0 || fstat(x->spool, &st) < 0)
		return err_set_errno(e, "cannot create a temporary file");
	p->is_expanded = true;
	p->offset = st.st_size;
	return unpack_expand(s, x->spool, st.st_size, e);
}

static int add_member(struct unpack_index *x, struct unpack_stream *s,
		      const struct unpack_member *m, const struct unpack_attributes *a,
		      struct err *e)
{
	const char *name = strip(m->name);
	struct unpack_place *p = add_place(x, name);
	struct buf leads_to = {0};

	if (a->is_hardlink) {
		p->link = mem_strdup(strip(a->link));
	} else if (a->link != NULL) {
		path_target(name, a->link, &leads_to);
		p->link = leads_to.data;
	} else if (m->is_file) {
		p->is_file = true;
		p->size = m->size;
		p->offset = a->offset;
		return a->offset < 0 && m->size > 0 ? expand(x, s, p, e) : 0;
	}
	return 0;
}

static int index_members(struct unpack_index *x, const char *file, struct err *e)
{
	struct unpack_attributes a = {0};
	struct unpack_member m;
	struct stat st;
	int result;

	if (fstat(x->fd, &st) < 0)
		return err_set_errno(e, "%s", file);
	struct unpack_stream *s = unpack_archive_new(x->fd, (uint64_t)st.st_size, file);
	while ((result = unpack_next(s, &m, e)) > 0) {
		result = x->names.n < MEMBERS_MAX
			     ? unpack_describe(s, &a, e)
			     : err_set(e, "%s: not an image archive", file);
		if (result == 0)
			result = add_member(x, s, &m, &a, e);
		if (result < 0)
			break;
	}
	unpack_stream_release(s);
	buf_release(&a.xattrs);
	return result;
}

/* --- directories --- */

/* Opens a path below the directory `top` without following symlinks. */
static int open_below(int top, const char *path, int flags)
{
	int at = top;

	for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
		char *name = mem_strndup(path, (size_t)(slash - path));
		int next =
		    openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		free(name);
		if (at != top)
			close(at);
		if (next < 0)
			return -1;
		at = next;
	}
	/* O_NONBLOCK: opening a FIFO must not block. */
	int fd = openat(at, path, flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (at != top)
		close(at);
	return fd;
}

/*
 * Adds the file `name` of the directory `at` as the member `member`, if it exists. `file`
 * is the name of the layout.
 */
static int add_file(struct unpack_index *x, const char *file, int at, const char *name,
		    const char *member, struct err *e)
{
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_set_errno(e, "%s/%s", file, member);
	struct unpack_place *p = add_place(x, member);
	p->is_file = S_ISREG(st.st_mode);
	p->size = p->is_file ? (uint64_t)st.st_size : 0;
	return 0;
}

static int add_blobs(struct unpack_index *x, const char *file, struct err *e)
{
	int fd = open_below(x->fd, blobs, O_DIRECTORY);
	DIR *dir = io_opendir(fd);
	struct buf member = {0};
	struct dirent *entry;
	int result = 0;

	if (dir == NULL)
		return err_set_errno(e, "%s: reading %s", file, blobs);
	while (result == 0 && (errno = 0, (entry = readdir(dir)) != NULL)) {
		if (!digest_is_hex(entry->d_name))
			continue;
		buf_clear(&member);
		buf_addf(&member, "%s/%s", blobs, entry->d_name);
		result = x->names.n < MEMBERS_MAX
			     ? add_file(x, file, fd, entry->d_name, member.data, e)
			     : err_set(e, "%s: more than %d blobs", file, MEMBERS_MAX);
	}
	if (result == 0 && errno != 0)
		result = err_set_errno(e, "%s: reading %s", file, blobs);
	closedir(dir);
	buf_release(&member);
	return result;
}

static int index_directory(struct unpack_index *x, const char *file, struct err *e)
{
	static const char mark[] = "oci-layout";

	x->is_directory = true;
	if (add_file(x, file, x->fd, mark, mark, e) < 0)
		return -1;
	if (x->names.n == 0 || !x->place[0].is_file)
		return err_set(
		    e, "%s: a directory, but not an OCI image layout: it has no file %s",
		    file, mark);
	if (add_file(x, file, x->fd, "index.json", "index.json", e) < 0)
		return -1;
	return add_blobs(x, file, e);
}

/* Returns a descriptor of the directory, or -1 if the file is not a directory. */
static int open_directory(const char *name)
{
	return strcmp(name, "-") != 0 ? open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
				      : -1;
}

/* --- archives and directories --- */

int unpack_index_open(struct unpack_index *x, const char *name, struct err *e)
{
	*x = (struct unpack_index){.fd = open_directory(name), .spool = -1};
	if (x->fd >= 0)
		return index_directory(x, name, e);
	x->fd = unpack_open(name, "an image", e);
	return x->fd >= 0 ? index_members(x, io_name(name), e) : -1;
}

void unpack_index_release(struct unpack_index *x)
{
	for (size_t i = 0; i < x->names.n; i++)
		free(x->place[i].link);
	free(x->place);
	if (x->names.n > 0 || x->fd > 0)
		close(x->fd);
	if (x->spool > 0)
		close(x->spool);
	strset_release(&x->names);
	*x = (struct unpack_index){.fd = -1, .spool = -1};
}

const struct unpack_place *unpack_find(const struct unpack_index *x, const char *name,
				       struct err *e)
{
	const char *at = strip(name);

	for (int links = 0; links < LINKS_MAX; links++) {
		uint32_t i = strset_find(&x->names, at, strlen(at));
		if (i == STRSET_NONE) {
			err_set(e, "no member '%s'", at);
			return NULL;
		}
		if (x->place[i].link == NULL && x->place[i].is_file)
			return &x->place[i];
		if (x->place[i].link == NULL) {
			err_set(e, "member '%s' is not a file", at);
			return NULL;
		}
		at = x->place[i].link;
	}
	err_set(e, "the links of member '%s' form a cycle", name);
	return NULL;
}

/* Opens a file of the directory. It is an error if its size has changed. */
static int open_member(const struct unpack_index *x, const struct unpack_place *p,
		       struct err *e)
{
	const char *name = x->names.name[p - x->place];
	int fd = open_below(x->fd, name, 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_set_errno(e, "member '%s'", name);
	} else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != p->size) {
		err_set(e, "member '%s' changed while it was read", name);
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

int unpack_raw(const struct unpack_index *x, const struct unpack_place *p, bool *is_own,
	       struct err *e)
{
	*is_own = x->is_directory;
	if (x->is_directory)
		return open_member(x, p, e);
	return p->is_expanded ? x->spool : x->fd;
}

int unpack_get(const struct unpack_index *x, const struct unpack_place *p,
	       struct buf *out, size_t limit, struct err *e)
{
	bool is_own;

	if (p->size > limit)
		return err_set(e, "a member of more than %zu bytes", limit);
	int fd = unpack_raw(x, p, &is_own, e);
	if (fd < 0)
		return UNPACK_UNREADABLE;
	size_t size = (size_t)p->size;
	ssize_t n = io_pread(fd, buf_reserve(out, size), size, p->offset);
	if (n < 0)
		err_set_errno(e, "member '%s'", x->names.name[p - x->place]);
	else if ((size_t)n != size)
		err_set(e, "truncated in the middle of a member");
	if (is_own)
		close(fd);
	if (n < 0 || (size_t)n != size)
		return UNPACK_UNREADABLE;
	out->len += size;
	out->data[out->len] = '\0';
	return 0;
}

int unpack_plain(const struct unpack_index *x, const struct unpack_place *p,
		 off_t *offset, uint64_t *size, bool *is_own, struct err *e)
{
	struct stat st;
	bool is_raw_own;

	int raw = unpack_raw(x, p, &is_raw_own, e);
	if (raw < 0)
		return -1;
	*offset = p->offset;
	*size = p->size;
	*is_own = is_raw_own;
	int fd = unpack_span(raw, p->offset, p->size, "a layer", e);
	if (fd == UNPACK_PLAIN)
		return raw;
	if (is_raw_own)
		close(raw);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0) {
		close(fd);
		return err_set_errno(e, "cannot read a temporary file");
	}
	*offset = 0;
	*size = (uint64_t)st.st_size;
	*is_own = true;
	return fd;
}
