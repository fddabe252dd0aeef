/*
 * erofs: a file tree as a read-only disk that Linux mounts.
 *
 * The format is that of Linux, Documentation/filesystems/erofs.rst, in its plainest form:
 * blocks of 4096 bytes, extended inodes, inline attributes, nothing compressed; what is
 * small stands behind its inode, contents of other files in blocks of their own.
 */
#ifndef DT_EROFS_H
#define DT_EROFS_H

struct err;
struct rootfs;
struct erofs; /* a disk that is being made */

/*
 * Finds where on the disk all of the tree goes, which rootfs_sort() was called for and
 * which stays as it is, and makes the empty file `fd` as long as the disk will be.
 * Attributes that overlayfs would take for its own are left out. Fails if the tree has a
 * name of more than NAME_MAX bytes. Returns NULL and why if that fails; else the caller
 * owns the result.
 */
struct erofs *erofs_place(const struct rootfs *r, int fd, struct err *e);

/* Writes the disk. Returns 0, or -1 and why not. */
int erofs_fill(struct erofs *d, struct err *e);

/* NULL is a no-op. */
void erofs_release(struct erofs *d);

#endif
