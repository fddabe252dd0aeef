#include "image/rootfs.h"

#include "archive/path.h"
#include "archive/tar.h"
#include "archive/unpack.h"
#include "base/err.h"
#include "base/io.h"
#include "image/rootfs-private.h"

#include <string.h>
#include <sys/stat.h>

enum { WHITEOUT = sizeof ".wh." - 1 };

/* The state of applying a layer. */
struct layer {
	struct rootfs_addition add; /* of the current member */
	struct unpack_stream *stream;
	struct unpack_attributes attributes;
	bool is_layer;     /* it may have whiteouts and lack an end-of-archive mark */
	struct buf target; /* canonical path of a hard link's target */
};

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/*
 * Whether the entry is below an aufs metadata directory, and to be ignored. Returns -1 if
 * it is below a whiteout.
 */
static int below_whiteout(const struct rootfs_addition *a, struct err *e)
{
	const char *p = a->path.data, *slash;

	for (; (slash = strchr(p, '/')) != NULL; p = slash + 1) {
		if (starts_with(p, ".wh..wh.") && !starts_with(p, ".wh..wh..opq/"))
			return 1;
		if (starts_with(p, ".wh."))
			return err_set(e, "%s: '%s' is below a whiteout", a->what,
				       a->path.data);
	}
	return 0;
}

static int add_whiteout(struct rootfs_addition *a, struct err *e)
{
	struct rootfs *r = a->r;
	const char *base;
	uint32_t parent = rootfs_make_parents(a, &base);
	const char *hidden = base + WHITEOUT;

	if (strcmp(hidden, ".wh..opq") == 0) {
		rootfs_hide_lower(r, parent);
		return 0;
	}
	if (*hidden == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
		return err_set(e, "%s: '%s' is a whiteout without a name", a->what,
			       a->path.data);
	uint32_t i = rootfs_child(r, parent, hidden, strlen(hidden));
	if (i != ROOTFS_NONE && !rootfs_is_touched(r, i)) {
		rootfs_remove(r, i);
	} else if (i != ROOTFS_NONE && rootfs_is_directory(r, i)) {
		rootfs_forget(r, i);
		rootfs_hide_lower(r, i);
	}
	return 0;
}

static int add_hardlink(struct layer *l, struct err *e)
{
	struct rootfs_addition *a = &l->add;
	struct rootfs *r = a->r;
	const char *base;

	path_clean(l->attributes.link, &l->target);
	uint32_t target = rootfs_find_clean(r, l->target.data);
	if (a->path.len == 0)
		return err_set(e, "%s: the root is not a directory", a->what);
	if (strcmp(l->target.data, a->path.data) == 0)
		return err_set(e, "%s: '%s' is a hard link to itself", a->what,
			       a->path.data);
	uint32_t parent = rootfs_make_room(a, &base);
	if (target == ROOTFS_NONE || rootfs_is_removed(r, target))
		return err_set(e, "%s: '%s' is a hard link to '%s', which is not there",
			       a->what, a->path.data, l->target.data);
	if (rootfs_is_directory(r, target))
		return err_set(e, "%s: '%s' is a hard link to the directory '%s'",
			       a->what, a->path.data, l->target.data);
	rootfs_add_node(a, parent, base, strlen(base), r->node[target].inode);
	return 0;
}

/* Writes the contents of a sparse file to its place. Returns their offset, or -1. */
static off_t expand(struct layer *l, struct err *e)
{
	struct rootfs_place *spool = &l->add.r->place[ROOTFS_SPARSE];
	struct stat st;

	if (spool->fd < 0)
		spool->fd = io_tmpfile();
	if (spool->fd < 0 || fstat(spool->fd, &st) < 0)
		return err_set_errno(e, "cannot create a temporary file");
	off_t at = st.st_size + (off_t)tar_padding((uint64_t)st.st_size);
	return unpack_expand(l->stream, spool->fd, at, e) < 0 ? -1 : at;
}

/* Sets where the contents of the file are. */
static int place_contents(struct layer *l, uint16_t place, struct rootfs_inode *inode,
			  struct err *e)
{
	const struct rootfs_addition *a = &l->add;
	off_t at = place == ROOTFS_SPARSE ? expand(l, e) : l->attributes.offset;

	if (at < 0)
		return -1;
	uint64_t from = (uint64_t)(at - a->r->place[place].start);
	uint64_t block = from / TAR_BLOCK;
	if (from % TAR_BLOCK != 0)
		return err_set(e, "%s: '%s' does not start at a multiple of %d bytes",
			       a->what, a->path.data, TAR_BLOCK);
	if (block > UINT32_MAX)
		return err_set(e, "%s: '%s' is more than 2 TiB from the start", a->what,
			       a->path.data);
	inode->block = (uint32_t)block;
	return 0;
}

static int make_inode(struct layer *l, uint64_t size, struct rootfs_inode *inode,
		      struct err *e)
{
	const struct rootfs_addition *a = &l->add;
	const struct unpack_attributes *from = &l->attributes;
	bool is_sparse = S_ISREG(from->mode) && size > 0 && from->offset < 0;
	const struct rootfs_common common = {
	    .uid = from->uid,
	    .gid = from->gid,
	    .mtime = from->mtime,
	    .nsec = from->nsec,
	    .mode = (uint16_t)from->mode,
	    .place = is_sparse ? ROOTFS_SPARSE : a->r->n_layers,
	};

	*inode = (struct rootfs_inode){
	    .common =
		rootfs_add_common(a->r, &common, from->xattrs.data, from->xattrs.len),
	};
	switch (from->mode & S_IFMT) {
	case S_IFREG:
		inode->size = size;
		return size > 0 ? place_contents(l, common.place, inode, e) : 0;
	case S_IFLNK:
		if (from->link == NULL || from->link[0] == '\0')
			return err_set(e, "%s: '%s' is a symlink without a target",
				       a->what, a->path.data);
		inode->link = rootfs_add_text(a->r, from->link, strlen(from->link));
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		inode->major = from->major;
		inode->minor = from->minor;
		return 0;
	case S_IFDIR:
	case S_IFIFO:
		return 0;
	default:
		return err_set(e, "%s: '%s' is of an unknown type", a->what,
			       a->path.data);
	}
}

static int add_entry(struct layer *l, uint64_t size, struct err *e)
{
	struct rootfs_inode inode;

	return make_inode(l, size, &inode, e) < 0 ? -1 : rootfs_put(&l->add, &inode, e);
}

static int add_member(struct layer *l, const struct unpack_member *m, struct err *e)
{
	struct rootfs_addition *a = &l->add;

	if (unpack_describe(l->stream, &l->attributes, e) < 0)
		return -1;
	path_clean(m->name, &a->path);
	if (rootfs_check_bounds(a, l->attributes.link, e) < 0)
		return -1;
	if (!l->is_layer &&
	    (starts_with(a->path.data, ".wh.") || strstr(a->path.data, "/.wh.") != NULL))
		return err_set(e, "%s: '%s' is a whiteout: this is a layer, not a rootfs",
			       a->what, a->path.data);
	int below = below_whiteout(a, e);
	if (below != 0)
		return below < 0 ? -1 : 0;
	const char *slash = strrchr(a->path.data, '/');
	const char *base = slash != NULL ? slash + 1 : a->path.data;
	if (starts_with(base, ".wh..wh.") && strcmp(base, ".wh..wh..opq") != 0)
		return 0; /* aufs metadata */
	if (starts_with(base, ".wh."))
		return add_whiteout(a, e);
	if (l->attributes.is_hardlink)
		return add_hardlink(l, e);
	return add_entry(l, m->size, e);
}

/* Adds all entries of the stream, whose tar is at `place`. Releases the stream. */
static int add_members(struct layer *l, const struct rootfs_place *place, struct err *e)
{
	struct unpack_member m;
	int more = rootfs_begin_layer(&l->add, place, e);

	while (more == 0 && (more = unpack_next(l->stream, &m, e)) > 0)
		more = add_member(l, &m, e);
	unpack_stream_release(l->stream);
	buf_release(&l->attributes.xattrs);
	buf_release(&l->add.path);
	buf_release(&l->target);
	return more;
}

int rootfs_add_layer(struct rootfs *r, int fd, off_t offset, uint64_t size,
		     const char *what, struct err *e)
{
	const struct rootfs_place place = {.fd = fd, .start = offset};
	struct layer l = {.add = {.r = r, .what = what}, .is_layer = true};

	l.stream = unpack_layer_new(fd, offset, size, what);
	return add_members(&l, &place, e);
}

int rootfs_add_tar(struct rootfs *r, int fd, uint64_t size, const char *what,
		   struct err *e)
{
	const struct rootfs_place place = {.fd = fd};
	struct layer l = {.add = {.r = r, .what = what}};

	l.stream = unpack_layer_new(fd, 0, size, what);
	unpack_layer_demand_end(l.stream);
	return add_members(&l, &place, e);
}
