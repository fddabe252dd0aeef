/*
 * busybox: the shell and tools for images that have none.
 */
#ifndef DT_BUSYBOX_H
#define DT_BUSYBOX_H

struct buf;
struct err;

/*
 * Opens a busybox that needs no libraries: the first file busybox or busybox.static on
 * PATH that is static, else /bin/busybox. Appends the names of its commands to `names`,
 * all but its own, a NUL behind each. Returns a descriptor, or -1 and why not.
 */
int busybox_open(struct buf *names, struct err *e);

/* Appends the path of that file, without a NUL. Returns -1 and why if there is none. */
int busybox_path(struct buf *path, struct err *e);

#endif
