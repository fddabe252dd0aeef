/*
 * lower: a file tree as a file system for the lower side of an overlay. Level 7.
 *
 * It is mounted by FUSE, so nothing of it is copied, and contents are read when somebody
 * reads them. It cannot be written to.
 */
#ifndef DT_LOWER_H
#define DT_LOWER_H

#include <sys/types.h>

struct err;
struct rootfs;

/* A file system that a process of its own serves. */
struct lower {
	const char *at;
	pid_t pid;
};

/*
 * Mounts the tree at the folder `at`; the tree must stay as it is. Attributes that
 * overlayfs would take for its own are left out. Returns 0, or -1 and why not.
 */
int lower_mount(struct lower *l, const struct rootfs *r, const char *at, struct err *e);

/* Unmounts it, and ends the process. A zeroed struct is not mounted. */
void lower_unmount(struct lower *l);

#endif
