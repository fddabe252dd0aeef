#include "image/rootfs.h"

#include "archive/mtree.h"
#include "archive/tar.h"
#include "archive/unpack.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/progress.h"
#include "image/rootfs-private.h"
#include "tree/sink.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* --- as a tar --- */

/* The state of writing a tar. */
struct output {
	const struct rootfs *rootfs;
	struct sink *sink;
	/* By inode with several names: the node with its contents, or 0. */
	uint32_t *first;
	struct buf name, link;
};

/* Writes the header of a node. `link` is the target if it is a hard link, or NULL. */
static void put_header(struct output *out, const struct rootfs_inode *inode,
		       const char *link)
{
	const struct rootfs *r = out->rootfs;
	const struct rootfs_common *common = rootfs_common(r, inode);
	struct buf xattrs = {r->text.data + common->xattrs, common->xattrs_len, 0};
	struct tar_member m = {
	    .name = out->name.data,
	    .type = link != NULL ? TAR_HARDLINK : tar_type(common->mode),
	    .link = link,
	    .mode = common->mode,
	    .uid = common->uid,
	    .gid = common->gid,
	    .size = rootfs_size(r, inode),
	    .mtime = common->mtime,
	    .nsec = common->nsec,
	    .major = major(rootfs_rdev(r, inode)),
	    .minor = minor(rootfs_rdev(r, inode)),
	    .records = &xattrs, /* also of a hard link: some readers set its owner, which
				   removes the file's capabilities */
	};

	if (m.type == TAR_SYMLINK)
		m.link = r->text.data + inode->link;
	sink_header(out->sink, &m);
}

static void put_node(struct output *out, uint32_t node)
{
	const struct rootfs *r = out->rootfs;
	const struct rootfs_inode *inode = rootfs_inode(r, node);
	off_t offset;

	buf_clear(&out->name);
	rootfs_path(r, node, &out->name);
	if (inode->names > 1) {
		uint32_t *first = &out->first[r->node[node].inode];
		if (*first != 0) {
			buf_clear(&out->link);
			rootfs_path(r, *first, &out->link);
			put_header(out, inode, out->link.data);
			return;
		}
		*first = node;
	}
	put_header(out, inode, NULL);
	if (rootfs_size(r, inode) == 0)
		return;
	int fd = rootfs_open(r, inode, &offset);
	sink_span(out->sink, fd, offset, inode->size, out->name.data);
	rootfs_close(r, inode, fd, (int64_t)inode->size);
}

void rootfs_write(const struct rootfs *r, const bool *wanted, struct sink *s)
{
	struct output out = {.rootfs = r, .sink = s};
	size_t done = 0;

	out.first = mem_zero(r->n_inodes, sizeof *out.first);
	for (uint32_t i = rootfs_next(r, 0); i != ROOTFS_NONE; i = rootfs_next(r, i)) {
		if (wanted == NULL || wanted[i])
			put_node(&out, i);
		progress("files", ++done, r->n_sorted - 1, s->total, 0);
	}
	progress_end();
	free(out.first);
	buf_release(&out.name);
	buf_release(&out.link);
}

/* --- as an mtree specification --- */

static int list_contents(struct mtree *list, int fd, off_t offset, uint64_t size,
			 struct err *e)
{
	static _Thread_local char block[65536];
	uint64_t done = 0;

	while (done < size) {
		size_t want =
		    size - done < sizeof block ? (size_t)(size - done) : sizeof block;
		ssize_t n = io_pread(fd, block, want, offset + (off_t)done);
		if (n <= 0)
			return err_set(e, "the contents of a file are truncated");
		if (mtree_data(list, block, (size_t)n, e) < 0)
			return -1;
		done += (uint64_t)n;
	}
	return 0;
}

static int list_node(struct mtree *list, const struct rootfs *r, uint32_t node,
		     struct err *e)
{
	const struct rootfs_inode *inode = rootfs_inode(r, node);
	const struct rootfs_common *common = rootfs_common(r, inode);
	const struct unpack_attributes a = {
	    .mode = common->mode,
	    .link = S_ISLNK(common->mode) ? r->text.data + inode->link : NULL,
	    .uid = common->uid,
	    .gid = common->gid,
	    .mtime = common->mtime,
	    .nsec = common->nsec,
	    .major = major(rootfs_rdev(r, inode)),
	    .minor = minor(rootfs_rdev(r, inode)),
	};
	const uint64_t size = rootfs_size(r, inode);
	struct buf path = {0};

	rootfs_path(r, node, &path);
	int result = mtree_add(list, path.data, &a, size, inode->names, e);
	if (result == 0 && size > 0) {
		off_t offset;
		int fd = rootfs_open(r, inode, &offset);
		result = list_contents(list, fd, offset, size, e);
		rootfs_close(r, inode, fd, result == 0 ? (int64_t)size : -1);
	}
	buf_release(&path);
	return result;
}

int rootfs_list(struct rootfs *r, const bool *wanted, int fd, struct err *e)
{
	struct mtree *list = mtree_new(fd);
	int result = 0;

	rootfs_sort_list(r);
	for (uint32_t i = 0; i != ROOTFS_NONE && result == 0; i = rootfs_next(r, i))
		if (wanted == NULL || wanted[i])
			result = list_node(list, r, i, e);
	if (result == 0)
		return mtree_end(list, e);
	struct err unused;
	(void)mtree_end(list, &unused);
	return result;
}
