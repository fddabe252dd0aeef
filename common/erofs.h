/*
 * erofs: a file tree as a read-only disk that Linux mounts. Level 7.
 *
 * The format is that of Linux, Documentation/filesystems/erofs.rst, in its plainest form:
 * blocks of 4096 bytes, extended inodes, inline attributes, nothing compressed; what is
 * small stands behind its inode, contents of other files in blocks of their own.
 */
#ifndef DT_EROFS_H
#define DT_EROFS_H

struct err;
struct rootfs;

/*
 * Writes the tree, which rootfs_sort() was called for, to the empty file `fd`. Attributes
 * that overlayfs would take for its own are left out. Returns 0, or -1 and why not.
 */
int erofs_write(const struct rootfs *r, int fd, struct err *e);

#endif
