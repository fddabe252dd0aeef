/*
 * fusefs: mount an image's file tree read-only with FUSE.
 *
 * The mount is the lower directory of an overlay. A child process serves it from the
 * layers, so nothing is unpacked; contents are read when they are needed. The child
 * process exits together with the calling process. That process must have its own mount
 * namespace, so that its exit unmounts the file system.
 *
 *	if (fusefs_mount(&f, &rootfs, "lower", &e) == 0)
 *		run_script();
 *	result = fusefs_check(&f, &e);
 */
#ifndef DT_FUSEFS_H
#define DT_FUSEFS_H

#include <sys/types.h>

struct err;
struct fusefs_fault;
struct rootfs;

struct fusefs {
	const struct rootfs *r;
	struct fusefs_fault *fault;
	pid_t pid;
};

/*
 * Mounts the tree at the directory `at`. The tree must not change, and not have files
 * that rootfs_add_disk() added. Extended attributes of
 * overlayfs are omitted. Returns 0, or -1 and a reason.
 */
int fusefs_mount(struct fusefs *l, const struct rootfs *r, const char *at, struct err *e);

/*
 * Returns 0, or -1 and a reason if the file system failed: the contents of a file could
 * not be read, or the child process has exited.
 */
int fusefs_check(const struct fusefs *l, struct err *e);

#endif
