#include "archive/cpio.h"

#include "base/buf.h"

#include <string.h>

enum { ALIGN = 4 };

static void pad(struct buf *out)
{
	buf_add(out, "\0\0\0", -out->len & (ALIGN - 1));
}

void cpio_add(struct buf *out, const char *name, uint32_t mode, const void *data,
	      size_t len)
{
	/*
	 * inode, mode, uid, gid, links, mtime, size, four device numbers, length of the
	 * name, checksum
	 */
	buf_addf(out, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 0u,
		 (unsigned)mode, 0u, 0u, 1u, 0u, len, 0u, 0u, 0u, 0u, strlen(name) + 1,
		 0u);
	buf_add(out, name, strlen(name) + 1);
	pad(out);
	buf_add(out, data, len);
	pad(out);
}

void cpio_end(struct buf *out)
{
	cpio_add(out, "TRAILER!!!", 0, "", 0);
}
