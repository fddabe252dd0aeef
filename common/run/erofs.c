#include "run/erofs.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "image/rootfs.h"
#include "run/erofs-private.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
	BLOCK = EROFS_BLOCK,
	SLOT = 32, /* the unit of inode numbers, in bytes */
	SUPER_AT = 1024,
	ROOT = BLOCK / SLOT, /* the root's number: it is the first inode */
	INODE = 64,
	BODY = EROFS_BODY,
	XATTRS_MAX = BODY + (UINT16_MAX - 1) * 4,
	LAYOUT_PLAIN = 0,
	LAYOUT_INLINE = 2,
	BUFFER = 1 << 20,
	SMALL = 1 << 16, /* smaller files are copied through the buffer */
};

/* The structures on disk. All numbers are little-endian. */
struct super {
	uint32_t magic, checksum, compat;
	uint8_t block_bits, extra_slots;
	uint16_t root;
	uint64_t inodes, seconds;
	uint32_t nanoseconds, blocks, meta_block, xattr_block;
	uint8_t uuid[16], label[16];
	uint32_t incompat;
	uint8_t rest[44];
};
_Static_assert(sizeof(struct super) == 128, "as Linux has it");

struct disk_inode {
	uint16_t format, xattr_count, mode, unused;
	uint64_t size;
	uint32_t where, number, uid, gid;
	uint64_t mtime;
	uint32_t nsec, links;
	uint8_t rest[16];
};
_Static_assert(sizeof(struct disk_inode) == INODE, "as Linux has it");

/* --- layout --- */

/* The size of the inode's contents in bytes. */
static uint64_t measure(const struct erofs *d, const struct spot *spot,
			const struct rootfs_inode *inode, struct buf *scratch)
{
	mode_t mode = rootfs_common(d->r, inode)->mode;

	if (S_ISREG(mode))
		return inode->size;
	if (S_ISLNK(mode))
		return strlen(d->r->text.data + inode->link);
	if (!S_ISDIR(mode))
		return 0;
	erofs_directory(d, spot->node, scratch);
	return scratch->len;
}

static int place_inode(struct erofs *d, uint32_t i, uint64_t *at, struct buf *scratch)
{
	const struct rootfs_inode *inode = &d->r->inode[i];
	const struct rootfs_common *owner = rootfs_common(d->r, inode);
	struct spot *spot = &d->spot[i];

	if (owner->uid >= UINT32_MAX || owner->gid >= UINT32_MAX)
		return err_set(d->e, "the owner %" PRIu64 ":%" PRIu64, owner->uid,
			       owner->gid);
	if (erofs_attributes(d, inode, scratch) < 0)
		return -1;
	if (scratch->len > XATTRS_MAX)
		return err_set(d->e, "%zu bytes of extended attributes", scratch->len);
	spot->xattrs = (uint32_t)scratch->len;
	spot->size = measure(d, spot, inode, scratch);
	uint64_t whole = INODE + spot->xattrs + spot->size;
	spot->is_inline = spot->size > 0 && whole <= BLOCK;
	*at += -*at & (INODE - 1);
	if (spot->is_inline && *at / BLOCK != (*at + whole - 1) / BLOCK)
		*at += -*at & (BLOCK - 1);
	spot->number = *at / SLOT;
	*at += INODE + spot->xattrs + (spot->is_inline ? spot->size : 0);
	return 0;
}

/*
 * A name must fit into a block of a directory. Linux does not allow longer names than
 * NAME_MAX.
 */
static int check_names(const struct erofs *d)
{
	const struct rootfs *r = d->r;

	for (uint32_t i = 0; i != ROOTFS_NONE; i = rootfs_next(r, i))
		if (strlen(r->text.data + r->node[i].name) > NAME_MAX)
			return err_set(d->e, "a file name is too long");
	return 0;
}

/* Numbers the inodes in the order of their paths. The blocks of contents follow them. */
static int place_all(struct erofs *d, uint64_t *blocks)
{
	const struct rootfs *r = d->r;
	struct buf scratch = {0};
	uint64_t at = BLOCK;
	int result = check_names(d);

	for (uint32_t node = 0; node != ROOTFS_NONE && result == 0;
	     node = rootfs_next(r, node)) {
		uint32_t parent = r->node[node].parent;
		struct spot *spot = &d->spot[r->node[node].inode];
		uint32_t up =
		    parent != ROOTFS_NONE ? r->node[parent].inode : r->node[node].inode;
		if (S_ISDIR(rootfs_mode(r, node))) {
			spot->parent = up;
			d->spot[up].directories += parent != ROOTFS_NONE;
		}
		if (spot->is_placed)
			continue;
		spot->is_placed = true;
		spot->node = node;
		result = place_inode(d, r->node[node].inode, &at, &scratch);
	}
	*blocks = (at + BLOCK - 1) / BLOCK;
	for (uint32_t i = 0; i != ROOTFS_NONE && result == 0; i = rootfs_next(r, i)) {
		struct spot *spot = &d->spot[r->node[i].inode];
		if (spot->node != i || spot->is_inline || spot->size == 0)
			continue;
		spot->block = (uint32_t)*blocks;
		*blocks += (spot->size + BLOCK - 1) / BLOCK;
		if (*blocks > UINT32_MAX)
			result = err_set(d->e, "more than 16 TiB");
	}
	buf_release(&scratch);
	return result;
}

/* --- writing --- */

static int flush(struct erofs *d)
{
	if (d->out.len > 0 && io_write(d->fd, d->out.data, d->out.len) < 0)
		return err_set_errno(d->e, "a disk cannot be written");
	buf_clear(&d->out);
	return 0;
}

static int put(struct erofs *d, const void *data, size_t len)
{
	buf_add(&d->out, data, len);
	d->at += len;
	return d->out.len >= BUFFER ? flush(d) : 0;
}

static int put_zeroes(struct erofs *d, uint64_t until)
{
	static const char zeroes[BLOCK];

	while (d->at < until) {
		uint64_t some = until - d->at < BLOCK ? until - d->at : BLOCK;
		if (put(d, zeroes, (size_t)some) < 0)
			return -1;
	}
	return 0;
}

static int put_file(struct erofs *d, uint32_t node)
{
	const struct rootfs_inode *inode = rootfs_inode(d->r, node);
	struct buf path = {0};
	off_t offset;
	int64_t n;
	int fd;

	if (inode->size > SMALL && flush(d) < 0)
		return -1;
	fd = rootfs_open(d->r, inode, &offset);
	if (inode->size <= SMALL) {
		char *to = buf_reserve(&d->out, (size_t)inode->size);
		n = io_pread(fd, to, (size_t)inode->size, offset);
		d->out.len += n > 0 ? (size_t)n : 0;
	} else {
		n = io_copy(fd, &offset, d->fd, inode->size);
	}
	rootfs_close(d->r, inode, fd, n);
	if (n == (int64_t)inode->size) {
		d->at += inode->size;
		return d->out.len >= BUFFER ? flush(d) : 0;
	}
	int error = n < 0 ? errno : EIO;
	rootfs_path(d->r, node, &path);
	err_set(d->e, "/%s: copying it to a disk: %s", path.data, strerror(error));
	buf_release(&path);
	return -1;
}

static int put_contents(struct erofs *d, uint32_t node)
{
	const struct rootfs_inode *inode = rootfs_inode(d->r, node);
	struct buf directory = {0};
	mode_t mode = rootfs_mode(d->r, node);
	int result;

	if (S_ISREG(mode))
		return put_file(d, node);
	if (S_ISLNK(mode))
		return put(d, d->r->text.data + inode->link,
			   strlen(d->r->text.data + inode->link));
	erofs_directory(d, node, &directory);
	result = put(d, directory.data, directory.len);
	buf_release(&directory);
	return result;
}

static uint32_t where_of(const struct spot *spot, const struct rootfs_inode *inode,
			 mode_t mode)
{
	if (S_ISCHR(mode) || S_ISBLK(mode)) /* as Linux' new_encode_dev() */
		return (inode->minor & 0xff) | inode->major << 8 |
		       (inode->minor & ~0xffu) << 12;
	return spot->is_inline || spot->size == 0 ? UINT32_MAX : spot->block;
}

static int put_inode(struct erofs *d, uint32_t i)
{
	const struct rootfs_inode *inode = &d->r->inode[i];
	const struct rootfs_common *common = rootfs_common(d->r, inode);
	const struct spot *spot = &d->spot[i];
	struct buf xattrs = {0};
	bool is_directory = S_ISDIR(common->mode);
	struct disk_inode on_disk = {
	    .format =
		(uint16_t)(1 | (spot->is_inline ? LAYOUT_INLINE : LAYOUT_PLAIN) << 1),
	    .xattr_count =
		(uint16_t)(spot->xattrs > 0 ? (spot->xattrs - BODY) / 4 + 1 : 0),
	    .mode = common->mode,
	    .size = spot->size,
	    .where = where_of(spot, inode, common->mode),
	    .number = i + 1,
	    .uid = (uint32_t)common->uid,
	    .gid = (uint32_t)common->gid,
	    .mtime = (uint64_t)common->mtime,
	    .nsec = common->nsec,
	    .links = is_directory ? 2 + spot->directories : inode->names,
	};

	if (put_zeroes(d, spot->number * SLOT) < 0 ||
	    put(d, &on_disk, sizeof on_disk) < 0 ||
	    erofs_attributes(d, inode, &xattrs) < 0)
		return -1;
	int result = put(d, xattrs.data, xattrs.len);
	buf_release(&xattrs);
	return result == 0 && spot->is_inline ? put_contents(d, spot->node) : result;
}

static int put_super(struct erofs *d, uint64_t blocks)
{
	const struct super super = {
	    .magic = 0xe0f5e1e2,
	    .block_bits = 12,
	    .root = ROOT,
	    .inodes = d->r->n_inodes,
	    .blocks = (uint32_t)blocks,
	};

	return put_zeroes(d, SUPER_AT) < 0 || put(d, &super, sizeof super) < 0 ? -1 : 0;
}

static int put_all(struct erofs *d, uint64_t blocks)
{
	const struct rootfs *r = d->r;

	if (put_super(d, blocks) < 0)
		return -1;
	for (uint32_t i = 0; i != ROOTFS_NONE; i = rootfs_next(r, i)) {
		uint32_t inode = r->node[i].inode;
		if (d->spot[inode].node == i && put_inode(d, inode) < 0)
			return -1;
	}
	for (uint32_t i = 0; i != ROOTFS_NONE; i = rootfs_next(r, i)) {
		const struct spot *spot = &d->spot[r->node[i].inode];
		if (spot->node != i || spot->is_inline || spot->size == 0)
			continue;
		if (put_zeroes(d, (uint64_t)spot->block * BLOCK) < 0 ||
		    put_contents(d, spot->node) < 0)
			return -1;
	}
	return put_zeroes(d, blocks * BLOCK) < 0 ? -1 : flush(d);
}

struct erofs *erofs_place(const struct rootfs *r, int fd, struct err *e)
{
	struct erofs *d = mem_zero(1, sizeof *d);

	*d = (struct erofs){.r = r, .fd = fd, .e = e};
	d->spot = mem_zero(r->n_inodes, sizeof *d->spot);
	int result = place_all(d, &d->blocks);
	if (result == 0 && ftruncate(fd, (off_t)(d->blocks * BLOCK)) < 0)
		result = err_set_errno(e, "a disk");
	if (result == 0)
		return d;
	erofs_release(d);
	return NULL;
}

int erofs_fill(struct erofs *d, struct err *e)
{
	d->e = e;
	return put_all(d, d->blocks);
}

void erofs_release(struct erofs *d)
{
	if (d == NULL)
		return;
	free(d->spot);
	buf_release(&d->out);
	free(d);
}
