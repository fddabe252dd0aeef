/*
 * busybox: find a static busybox, the shell for images without one.
 *
 * A script of dt-vmrun may need a shell and tools that the image does not have. A static
 * busybox runs in any image, because it needs no libraries.
 */
#ifndef DT_BUSYBOX_H
#define DT_BUSYBOX_H

#include <stdbool.h>

struct buf;
struct err;

/*
 * Returns whether the file is an ELF program without an interpreter, so that it needs no
 * libraries. An object file is no program.
 */
bool busybox_is_static(int fd);

/*
 * Opens a static busybox: the first static file `busybox` or `busybox.static` on PATH,
 * else /bin/busybox. Appends the names of its commands except "busybox" to `names`, each
 * followed by a NUL. Returns a descriptor, or -1 and a reason.
 */
int busybox_open(struct buf *names, struct err *e);

/* Appends the path of the same file, without a NUL. Returns 0, or -1 and a reason. */
int busybox_path(struct buf *path, struct err *e);

#endif
