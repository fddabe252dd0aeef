/*
 * cpio: write the cpio archive of an initramfs.
 *
 * Linux unpacks such an archive into the root of a virtual machine when it boots:
 *
 *	cpio_add(&out, "init", S_IFREG | 0755, data, len);
 *	cpio_end(&out);
 *
 * The format is "newc" as Linux defines it,
 * Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#ifndef DT_CPIO_H
#define DT_CPIO_H

#include <stddef.h>
#include <stdint.h>

struct buf;

/*
 * Appends a file, directory or symlink. `data` is the contents of a file or the target of
 * a symlink.
 */
void cpio_add(struct buf *out, const char *name, uint32_t mode, const void *data,
	      size_t len);

/* Appends the end-of-archive marker. */
void cpio_end(struct buf *out);

#endif
