/*
 * erofs-private: the file system in the making, for the parts of erofs.
 */
#ifndef DT_EROFS_PRIVATE_H
#define DT_EROFS_PRIVATE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct rootfs;
struct rootfs_inode;

enum {
	EROFS_BLOCK = 4096,
	EROFS_BODY = 12, /* size of the header of inline attributes */
};

/* The place of an inode on the disk. The array has the indices of rootfs.inode. */
struct spot {
	uint64_t number, size;
	uint32_t block; /* first block of its contents, unless they are inline */
	uint32_t node;  /* its first node */
	uint32_t parent, directories; /* of a directory: the inode above, and the number
					 of subdirectories */
	uint32_t xattrs;              /* in bytes */
	bool is_inline, is_placed;
};

struct erofs {
	const struct rootfs *r;
	struct spot *spot;
	uint64_t blocks;
	int fd;
	struct buf out; /* not written yet */
	uint64_t at;    /* position in bytes, including `out` */
	struct err *e;
};

/*
 * Replaces the contents of `out` by the inode's extended attributes, as they follow the
 * inode on the disk. Returns 0, or -1 and a reason in d->e.
 */
int erofs_attributes(const struct erofs *d, const struct rootfs_inode *inode,
		     struct buf *out);

/* Replaces the contents of `out` by the blocks of the directory at this node. */
void erofs_directory(const struct erofs *d, uint32_t node, struct buf *out);

#endif
