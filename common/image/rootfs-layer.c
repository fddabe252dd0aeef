#include "image/rootfs.h"

#include "archive/path.h"
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
	int fd;
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
	if (i != ROOTFS_NONE && r->node[i].layer != r->n_layers) {
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
	if (target == ROOTFS_NONE || r->node[target].is_gone)
		return err_set(e, "%s: '%s' is a hard link to '%s', which is not there",
			       a->what, a->path.data, l->target.data);
	if (rootfs_is_directory(r, target))
		return err_set(e, "%s: '%s' is a hard link to the directory '%s'",
			       a->what, a->path.data, l->target.data);
	rootfs_add_node(r, parent, base, strlen(base), r->node[target].inode);
	return 0;
}

/* Sets where the contents of the entry are. A sparse file is expanded into the spool. */
static int place_contents(struct layer *l, struct rootfs_inode *inode, struct err *e)
{
	struct rootfs *r = l->add.r;
	struct stat st;

	inode->fd = l->fd;
	inode->offset = l->attributes.offset;
	if (inode->offset >= 0)
		return 0;
	if (r->spool < 0)
		r->spool = io_tmpfile();
	if (r->spool < 0 || fstat(r->spool, &st) < 0)
		return err_set_errno(e, "cannot create a temporary file");
	inode->fd = r->spool;
	inode->offset = st.st_size;
	return unpack_expand(l->stream, r->spool, st.st_size, e);
}

static int make_inode(struct layer *l, uint64_t size, struct rootfs_inode *inode,
		      struct err *e)
{
	const struct rootfs_addition *a = &l->add;
	const struct unpack_attributes *from = &l->attributes;

	*inode = (struct rootfs_inode){
	    .mode = from->mode,
	    .owner = rootfs_add_owner(a->r, from->uid, from->gid, from->xattrs.data,
				      from->xattrs.len),
	    .mtime = from->mtime,
	    .nsec = from->nsec,
	    .fd = -1,
	};
	switch (from->mode & S_IFMT) {
	case S_IFREG:
		inode->size = size;
		return size > 0 ? place_contents(l, inode, e) : 0;
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

/* Adds all entries of the stream. Releases the stream. */
static int add_members(struct layer *l, struct err *e)
{
	struct unpack_member m;
	int more;

	l->add.r->n_layers++;
	while ((more = unpack_next(l->stream, &m, e)) > 0)
		if ((more = add_member(l, &m, e)) < 0)
			break;
	unpack_stream_release(l->stream);
	buf_release(&l->attributes.xattrs);
	buf_release(&l->add.path);
	buf_release(&l->target);
	return more;
}

int rootfs_add_layer(struct rootfs *r, int fd, off_t offset, uint64_t size,
		     const char *what, struct err *e)
{
	struct layer l = {.add = {.r = r, .what = what}, .fd = fd, .is_layer = true};

	l.stream = unpack_layer_new(fd, offset, size, what);
	return add_members(&l, e);
}

int rootfs_add_tar(struct rootfs *r, int fd, uint64_t size, const char *what,
		   struct err *e)
{
	struct layer l = {.add = {.r = r, .what = what}, .fd = fd};

	l.stream = unpack_layer_new(fd, 0, size, what);
	unpack_layer_demand_end(l.stream);
	return add_members(&l, e);
}
