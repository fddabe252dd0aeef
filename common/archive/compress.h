/*
 * compress: gzip and zstd, to and fro.
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
 * stream that is truncated, a CRC or a length that is wrong is an error. What comes out
 * is bounded by nothing but write(); up to 128 MiB are held, if a zstd frame's window is
 * that large. Returns 0, or -1 and why, behind `what` unless write() said it.
 */
int compress_inflate(int fd, off_t offset, uint64_t size,
		     int (*write)(void *arg, const void *data, size_t len, struct err *e),
		     void *arg, const char *what, struct err *e);

/*
 * What compresses a stream, on as many cores as the process may use. The same bytes come
 * out on any number of them, and however the stream was cut into pieces to be added.
 */
struct compress {
	/* Compresses the next `len` bytes. Returns 0, or -1 and why. */
	int (*add)(struct compress *c, const void *data, size_t len, struct err *e);

	/* Ends the stream. Until then, what was written is not a whole one at any time,
	 * and no program uncompresses it without an error. Returns 0, or -1 and why. */
	int (*end)(struct compress *c, struct err *e);

	/* Frees it, whether it ended or not. */
	void (*release)(struct compress *c);
};

enum { COMPRESS_GZIP_LEVELS = 12, COMPRESS_ZSTD_LEVELS = 19 };

/*
 * gzip, of members of 1 MiB each, by libdeflate; `level` is 1..COMPRESS_GZIP_LEVELS, or 0
 * for the default, 5, which makes less than level 6 of gzip(1) and pigz(1). Calls
 * write(arg, data, len, e), which returns 0, or -1 and why. The caller releases it.
 */
struct compress *compress_gzip(int level,
			       int (*write)(void *arg, const void *data, size_t len,
					    struct err *e),
			       void *arg);

/*
 * zstd, one frame with a checksum; `level` is 1..COMPRESS_ZSTD_LEVELS, or 0 for the
 * default, 3. The rest is as above.
 */
struct compress *compress_zstd(int level,
			       int (*write)(void *arg, const void *data, size_t len,
					    struct err *e),
			       void *arg);

#endif
