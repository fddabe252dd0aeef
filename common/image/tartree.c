#include "image/tartree.h"

#include "archive/tar.h"
#include "archive/unpack.h"
#include "archive/xattrs.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "image/rootfs.h"
#include "tree/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct directory {
	uint32_t node;  /* of the rootfs */
	uint32_t entry; /* of the tree */
};

/*
 * An archive on its way into a tree. A rootfs and a tree of the same files would need
 * twice the memory. So the entries are written to a temporary file, and read from there
 * when the rootfs is released.
 */
struct reading {
	struct tree *t;
	struct rootfs *r;
	uint64_t dev;
	/*
	 * By origin of the tree: the time of the archive, and that of the file with the
	 * contents of sparse files, in ns.
	 */
	int64_t mtime[2];
	FILE *entries; /* the temporary file */
	uint32_t n;    /* entries that were written */
	uint32_t next; /* the first child of the next directory that is written */
	/* Those that were written, in the order of their entries. */
	struct directory *directory;
	size_t n_directories, cap_directories;
};

static int failed(struct err *e)
{
	return err_set_errno(e, "cannot write a temporary file in TMPDIR");
}

/* Makes `fd` the next origin. The tree closes a copy of it. */
static int add_place(struct reading *x, int fd, const char *file, struct err *e)
{
	struct stat st;
	int copy;

	if (fstat(fd, &st) < 0 || (copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return err_set_errno(e, "%s", file);
	int64_t ctime = tree_ns(st.st_ctim);
	x->mtime[tree_add_archive(x->t, file, copy, ctime)] = tree_ns(st.st_mtim);
	if (ctime > x->t->newest)
		x->t->newest = ctime;
	x->t->is_temporary = x->t->is_temporary || st.st_nlink == 0;
	return 0;
}

/* The attributes that are the file's own, as in a scan that keeps owners. */
static void own_xattrs(const struct tree *t, const struct rootfs_common *common,
		       struct buf *records)
{
	const char *p = t->names.data + common->xattrs;
	size_t len = common->xattrs_len;
	struct xattr x;

	while (xattrs_next(&p, &len, &x))
		if (xattrs_is_own(x.name))
			tar_xattr(records, x.name, x.value, x.len);
}

static uint32_t add_owner(struct reading *x, uint32_t number)
{
	const struct rootfs_inode *inode = &x->r->inode[number];
	const struct rootfs_common *common = rootfs_common(x->r, inode);
	struct tree_owner owner = {.uid = common->uid, .gid = common->gid};
	struct buf records = {0};

	if (inode->names > 1) {
		owner.dev = x->dev;
		owner.ino = (uint64_t)number + 1;
	}
	own_xattrs(x->t, common, &records);
	uint32_t i = tree_add_owner(x->t, &owner, records.data, records.len);
	buf_release(&records);
	return i;
}

/* Sets the children of a directory's entry, which are written later. */
static void add_directory(struct reading *x, const struct rootfs_inode *inode,
			  uint32_t node, struct tree_entry *e)
{
	e->first = x->next;
	for (uint32_t c = inode->child; c != ROOTFS_NONE; c = x->r->node[c].sibling)
		e->count++;
	x->next += e->count;
	x->directory = mem_grow(x->directory, &x->cap_directories, x->n_directories + 1,
				sizeof *x->directory);
	x->directory[x->n_directories++] = (struct directory){node, x->n};
}

/* Writes the entry of a node. */
static int write_entry(struct reading *x, uint32_t parent, uint32_t node, struct err *e)
{
	const struct rootfs_inode *inode = rootfs_inode(x->r, node);
	const struct rootfs_common *common = rootfs_common(x->r, inode);
	mode_t mode = common->mode;
	bool is_sparse = S_ISREG(mode) && common->place == ROOTFS_SPARSE;
	struct tree_entry entry = {
	    .mode = (uint16_t)mode,
	    .name = x->r->node[node].name,
	    .parent = parent,
	    .origin = is_sparse,
	    .mtime = x->mtime[is_sparse],
	    .owner = add_owner(x, x->r->node[node].inode),
	};

	if (S_ISDIR(mode)) {
		add_directory(x, inode, node, &entry);
	} else if (S_ISLNK(mode)) {
		entry.link = inode->link;
	} else if (S_ISREG(mode)) {
		off_t offset;
		(void)rootfs_open(x->r, inode, &offset);
		entry.offset = (uint64_t)offset;
		x->t->bytes += entry.size = inode->size;
	} else {
		entry.size = rootfs_rdev(x->r, inode);
	}
	x->n++;
	return fwrite(&entry, sizeof entry, 1, x->entries) == 1 ? 0 : failed(e);
}

/* Writes all entries, the children of each directory one after the other. */
static int write_entries(struct reading *x, struct err *e)
{
	x->next = 1;
	int result = write_entry(x, TREE_END, 0, e);
	for (size_t i = 0; i < x->n_directories && result == 0; i++) {
		const struct directory d = x->directory[i];
		for (uint32_t c = rootfs_inode(x->r, d.node)->child;
		     c != ROOTFS_NONE && result == 0; c = x->r->node[c].sibling)
			result = write_entry(x, d.entry, c, e);
	}
	return result;
}

static int read_entries(struct reading *x, struct err *e)
{
	struct tree *t = x->t;

	t->n = t->cap = x->n;
	t->entry = mem_resize(NULL, t->n, sizeof *t->entry);
	if (fflush(x->entries) != 0)
		return failed(e);
	rewind(x->entries);
	return fread(t->entry, sizeof *t->entry, t->n, x->entries) == t->n ? 0
									   : failed(e);
}

/* Reads the archive in `fd` into the rootfs, and writes its entries. */
static int read_tar(struct reading *x, int fd, const char *what, struct err *e)
{
	struct rootfs *r = x->r;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set_errno(e, "%s", what);
	if (rootfs_add_tar(r, fd, (uint64_t)st.st_size, what, e) < 0)
		return -1;
	rootfs_sort(r);
	if (add_place(x, fd, what, e) < 0)
		return -1;
	int spool = r->place[ROOTFS_SPARSE].fd;
	if (spool >= 0 && add_place(x, spool, what, e) < 0)
		return -1;
	/* The offsets of names and link targets stay the same. */
	x->t->names = r->text;
	r->text = (struct buf){0};
	return write_entries(x, e);
}

/* Returns a new temporary file. */
static FILE *open_entries(struct err *e)
{
	int fd = io_tmpfile();
	FILE *file = fd >= 0 ? fdopen(fd, "w+") : NULL;

	if (file == NULL)
		failed(e);
	if (file == NULL && fd >= 0)
		close(fd);
	return file;
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
	x.entries = open_entries(e);
	int result = x.entries != NULL ? read_tar(&x, fd, what, e) : -1;
	rootfs_release(&r);
	if (result == 0)
		result = read_entries(&x, e);
	if (x.entries != NULL)
		fclose(x.entries);
	free(x.directory);
	close(fd);
	return result;
}
