/*
 * compress: gzip and zstd, to and fro. Level 3.
 */
#ifndef DT_COMPRESS_H
#define DT_COMPRESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* OTHER is what is left to libarchive: bzip2, xz, lz4, lzip and compress(1). */
enum compress_format { COMPRESS_NONE, COMPRESS_GZIP, COMPRESS_ZSTD, COMPRESS_OTHER };

enum { COMPRESS_MAGIC = 10 }; /* bytes that tell one from the other */

/*
 * How the data that begins with these bytes is compressed, by its magic. Of fewer than
 * COMPRESS_MAGIC bytes the shorter magics are still known.
 */
enum compress_format compress_detect(const void *data, size_t len);

/*
 * Uncompresses the `size` bytes of `fd` from `offset` on, by pread(2): gzip, RFC 1952,
 * any number of members after each other, or zstd, RFC 8878, any number of frames. Calls
 * write(arg, data, len, e) with pieces of it, which returns 0, or -1 and why. Zeroes
 * behind the last gzip member are passed over, as gzip(1) does. Anything else there, a
 * stream that is cut off, a CRC or a length that is wrong is an error. What comes out is
 * bounded by nothing but write(); up to 128 MiB are held, if a zstd frame's window is
 * that large. Returns 0, or -1 and why, behind `what` unless write() said it.
 */
int compress_inflate(int fd, off_t offset, uint64_t size,
		     int (*write)(void *arg, const void *data, size_t len, struct err *e),
		     void *arg, const char *what, struct err *e);

#endif
