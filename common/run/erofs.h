/*
 * erofs: write a file tree as an erofs disk.
 *
 * dt-vmrun's guest mounts the image from a single read-only disk. The layout is computed
 * first, so that the guest can boot while the contents are written:
 *
 *	d = erofs_place(&rootfs, fd, &e);
 *	result = erofs_fill(d, &e);
 *	erofs_release(d);
 *
 * Format: Linux, Documentation/filesystems/erofs.rst. Blocks have 4096 bytes, inodes are
 * extended, attributes are inline, and nothing is compressed. Small contents follow their
 * inode; other contents have their own blocks.
 */
#ifndef DT_EROFS_H
#define DT_EROFS_H

struct err;
struct rootfs;
struct erofs; /* a disk that is being made */

/*
 * Computes the layout, and sets the size of the empty file `fd`. rootfs_sort() must have
 * been called for `r`, and `r` must not change until the release. Extended attributes of
 * overlayfs are omitted. A name of more than NAME_MAX bytes is an error. Returns NULL and
 * a reason, or a disk that the caller must release.
 */
struct erofs *erofs_place(const struct rootfs *r, int fd, struct err *e);

/*
 * Writes the disk. Returns 0, or -1 and a reason. Ends the process where rootfs_open()
 * does.
 */
int erofs_fill(struct erofs *d, struct err *e);

/* Does nothing if `d` is NULL. */
void erofs_release(struct erofs *d);

#endif
