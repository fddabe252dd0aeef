/*
 * cpio: an initramfs.
 *
 * The "newc" format of Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#ifndef DT_CPIO_H
#define DT_CPIO_H

#include <stddef.h>
#include <stdint.h>

struct buf;

/* Appends a file, directory or symlink; `data` is its contents or target. */
void cpio_add(struct buf *out, const char *name, uint32_t mode, const void *data,
	      size_t len);

/* Appends the end-of-archive mark. */
void cpio_end(struct buf *out);

#endif
