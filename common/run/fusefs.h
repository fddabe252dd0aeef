/*
 * fusefs: a file tree as a file system for the lower side of an overlay.
 *
 * A process of its own serves it by FUSE. Nothing is copied, and contents are read when
 * the script reads them. It cannot be written to. The process ends with the calling one,
 * which must have a mount namespace of its own: that unmounts the file system.
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
 * Mounts the tree at the directory `at`; the tree must stay as it is. Attributes that
 * overlayfs would take for its own are left out. Returns 0, or -1 and why not.
 */
int fusefs_mount(struct fusefs *l, const struct rootfs *r, const char *at, struct err *e);

/*
 * Returns 0, or -1 and why the file system did not show the image: a file's contents
 * could not be read, or the process has ended.
 */
int fusefs_check(const struct fusefs *l, struct err *e);

#endif
