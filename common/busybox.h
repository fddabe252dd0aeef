/*
 * busybox: the shell and tools for images that have none. Level 5.
 */
#ifndef DT_BUSYBOX_H
#define DT_BUSYBOX_H

struct buf;
struct err;

/*
 * Opens a busybox that needs no libraries: the one on PATH or in /bin. Appends the names
 * of its commands to `names`, all but its own, a NUL behind each. Returns a descriptor,
 * or -1 and why not.
 */
int busybox_open(struct buf *names, struct err *e);

#endif
