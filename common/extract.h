/*
 * extract: a file tree as files on disk. Level 7.
 */
#ifndef DT_EXTRACT_H
#define DT_EXTRACT_H

struct err;
struct rootfs;

/*
 * Makes the tree, which rootfs_sort() was called for, in the empty folder `fd`, with all
 * owners, modes, times, attributes and hard links. Devices in /dev that may not be made
 * are left out. Returns 0, or -1 and why not.
 */
int extract_tree(const struct rootfs *r, int fd, struct err *e);

#endif
