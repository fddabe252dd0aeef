#include "image/tartree.h"

#include "archive/tar.h"
#include "archive/unpack.h"
#include "archive/xattrs.h"
#include "base/err.h"
#include "base/mem.h"
#include "image/rootfs.h"
#include "tree/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An archive on its way into a tree. */
struct reading {
	struct tree *t;
	const struct rootfs *r;
	uint64_t dev;
	/* The files that contents lie in: the archive, and if any are sparse, the spool.
	 */
	struct {
		int fd;
		uint32_t origin;
		int64_t mtime, ctime; /* in ns */
	} place[2];
	uint32_t *node;         /* by entry of the tree: the node of the rootfs */
	uint32_t *child, *next; /* by node: its first child, the next one of its parent */
};

/* Makes `fd` the origin number `i`. The tree closes a copy of it. */
static int add_place(struct reading *x, size_t i, int fd, const char *file, struct err *e)
{
	struct stat st;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return err_set_errno(e, "%s", file);
	x->place[i].fd = fd;
	x->place[i].origin = tree_add_archive(x->t, file, copy);
	if (fstat(fd, &st) < 0)
		return err_set_errno(e, "%s", file);
	x->place[i].mtime = tree_ns(st.st_mtim);
	x->place[i].ctime = tree_ns(st.st_ctim);
	if (x->place[i].ctime > x->t->newest)
		x->t->newest = x->place[i].ctime;
	x->t->is_temporary = x->t->is_temporary || st.st_nlink == 0;
	return 0;
}

/* Links each node to its children, in the order of the sorted rootfs. */
static void link_children(struct reading *x)
{
	const struct rootfs *r = x->r;

	x->child = mem_resize(NULL, r->n, sizeof *x->child);
	x->next = mem_resize(NULL, r->n, sizeof *x->next);
	memset(x->child, 0xff, r->n * sizeof *x->child); /* ROOTFS_NONE */
	for (size_t i = r->n_order; i-- > 1;) {
		uint32_t node = r->order[i], parent = r->node[node].parent;
		x->next[node] = x->child[parent];
		x->child[parent] = node;
	}
}

/* The attributes that are the file's own, as in a scan that keeps owners. */
static void own_xattrs(const struct rootfs *r, const struct rootfs_inode *inode,
		       struct buf *records)
{
	const struct rootfs_owner *owner = rootfs_owner(r, inode);
	const char *p = r->text.data + owner->xattrs;
	size_t len = owner->xattrs_len;
	struct xattr x;

	while (xattrs_next(&p, &len, &x))
		if (xattrs_is_own(x.name))
			tar_xattr(records, x.name, x.value, x.len);
}

static void set_owner(struct reading *x, uint32_t i, uint32_t number)
{
	const struct rootfs_inode *inode = &x->r->inode[number];
	struct tree_owner owner = {
	    .uid = rootfs_owner(x->r, inode)->uid,
	    .gid = rootfs_owner(x->r, inode)->gid,
	};
	struct buf records = {0};

	if (inode->names > 1) {
		owner.dev = x->dev;
		owner.ino = (uint64_t)number + 1;
	}
	own_xattrs(x->r, inode, &records);
	tree_set_owner(x->t, i, &owner, records.data, records.len);
	buf_release(&records);
}

/* Fills in what the entry `i` of a node is. */
static void set_entry(struct reading *x, uint32_t i)
{
	const struct rootfs_inode *inode = rootfs_inode(x->r, x->node[i]);
	size_t place = inode->fd >= 0 && inode->fd != x->place[0].fd;
	uint32_t link = 0;

	if (S_ISLNK(inode->mode))
		link = tree_add_text(x->t, x->r->text.data + inode->link);
	struct tree_entry *e = &x->t->entry[i];
	e->mode = inode->mode;
	if (S_ISLNK(inode->mode))
		e->link = link;
	e->origin = x->place[place].origin;
	e->mtime = x->place[place].mtime;
	e->ctime = x->place[place].ctime;
	if (S_ISREG(inode->mode)) {
		e->ino = (uint64_t)inode->offset;
		x->t->bytes += e->size = inode->size;
	} else if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode)) {
		e->size = rootfs_rdev(inode);
	}
	set_owner(x, i, x->r->node[x->node[i]].inode);
}

static void add_entry(struct reading *x, uint32_t parent, uint32_t node)
{
	uint32_t name = tree_add_text(x->t, x->r->text.data + x->r->node[node].name);

	x->node[x->t->n] = node;
	tree_add_entry(x->t, parent)->name = name;
	set_entry(x, (uint32_t)x->t->n - 1);
}

static void add_entries(struct reading *x)
{
	struct tree *t = x->t;

	x->node = mem_resize(NULL, x->r->n, sizeof *x->node);
	add_entry(x, TREE_END, 0);
	for (uint32_t i = 0; i < t->n; i++) {
		uint32_t first = (uint32_t)t->n;
		if (!S_ISDIR(t->entry[i].mode))
			continue;
		for (uint32_t c = x->child[x->node[i]]; c != ROOTFS_NONE; c = x->next[c])
			add_entry(x, i, c);
		t->entry[i].first = first;
		t->entry[i].count = (uint32_t)t->n - first;
	}
}

/* Reads the archive in `fd`. */
static int read_tar(struct reading *x, struct rootfs *r, int fd, const char *what,
		    struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set_errno(e, "%s", what);
	if (rootfs_add_tar(r, fd, (uint64_t)st.st_size, what, e) < 0)
		return -1;
	rootfs_sort(r);
	if (add_place(x, 0, fd, what, e) < 0)
		return -1;
	if (r->spool >= 0 && add_place(x, 1, r->spool, what, e) < 0)
		return -1;
	link_children(x);
	add_entries(x);
	return 0;
}

int tartree_read(struct tree *t, const char *file, uint64_t dev, struct err *e)
{
	const char *what = strcmp(file, "-") == 0 ? "stdin" : file;
	int fd = unpack_open(file, "a rootfs tar", e);
	struct rootfs r;
	struct reading x = {.t = t, .r = &r, .dev = dev};

	if (fd < 0)
		return -1;
	rootfs_init(&r);
	int result = read_tar(&x, &r, fd, what, e);
	free(x.node);
	free(x.child);
	free(x.next);
	rootfs_release(&r);
	close(fd);
	return result;
}
