/*
 * compress: compress and uncompress gzip and zstd.
 *
 * Layers of images are tars that are usually compressed. A stream is compressed on all
 * cores, and the result is the same on every machine:
 *
 *	struct compress *c = compress_zstd(0, write_to_file, &file);
 *	bool ok = c->add(c, data, len, &e) == 0 && c->end(c, &e) == 0;
 *	c->release(c);
 *
 * All formats are detected by their first bytes, but only gzip (RFC 1952) and zstd (RFC
 * 8878) are uncompressed here. The module unpack uncompresses the other formats.
 */
#ifndef DT_COMPRESS_H
#define DT_COMPRESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* COMPRESS_OTHER is a format for libarchive: bzip2, xz, lz4, lzip or compress(1). */
enum compress_format { COMPRESS_NONE, COMPRESS_GZIP, COMPRESS_ZSTD, COMPRESS_OTHER };

/* The format with this name in options: none, gz or zstd. Otherwise COMPRESS_OTHER. */
enum compress_format compress_named(const char *name);

enum { COMPRESS_MAGIC = 10 }; /* bytes that identify every format */

/*
 * Returns the format of data that starts with these bytes. With fewer than COMPRESS_MAGIC
 * bytes, only formats with a shorter magic number are detected.
 */
enum compress_format compress_detect(const void *data, size_t len);

/*
 * Uncompresses `size` bytes of `fd` from `offset` with pread(2). The data is gzip with
 * any number of members, or zstd with any number of frames. Calls write(arg, data, len,
 * e) with each piece of the result; write() returns 0, or -1 with the reason in `e`.
 *
 * Zeros after the last gzip member are ignored, as gzip(1) does. Other data there,
 * truncated data, and a wrong CRC or length are errors. Only write() limits the amount of
 * output. A zstd frame with a large window needs up to 128 MiB of memory.
 *
 * Returns 0, or -1 with the reason in `e`. The reason starts with `what`, unless it comes
 * from write().
 */
int compress_inflate(int fd, off_t offset, uint64_t size,
		     int (*write)(void *arg, const void *data, size_t len, struct err *e),
		     void *arg, const char *what, struct err *e);

/*
 * A compressor for a stream, which uses as many cores as the process may use. The output
 * does not depend on the number of cores, nor on how the input is split into calls of
 * add().
 */
struct compress {
	/* Compresses the next `len` bytes. Returns 0, or -1 with the reason in `e`. */
	int (*add)(struct compress *c, const void *data, size_t len, struct err *e);

	/*
	 * Ends the stream. Returns 0, or -1 with the reason in `e`. Until then the output
	 * is incomplete at every point, and every program reports an error when it
	 * uncompresses the output.
	 */
	int (*end)(struct compress *c, struct err *e);

	/*
	 * Begins another stream after end(). Its output goes to write(arg, ...). This is
	 * faster than another compressor, and needs no more memory.
	 */
	void (*restart)(struct compress *c, void *arg);

	/* Frees the compressor. May be called before the stream has ended. */
	void (*release)(struct compress *c);
};

enum { COMPRESS_GZIP_LEVELS = 12, COMPRESS_ZSTD_LEVELS = 19 };

/* The row of an option --level, whose value is for compress_level(). */
/* clang-format off */
#define COMPRESS_OPTION_LEVEL(key) \
	{key, "level", "N", "1 to 12 for gz, 1 to 19 for zstd"}
/* clang-format on */

/*
 * Returns the level of this option's value, or 0 if that is NULL. Exits with status 2 if
 * the format has no such level.
 */
int compress_level(enum compress_format format, const char *value);

/*
 * Returns the compressor for COMPRESS_GZIP or COMPRESS_ZSTD, see the functions below.
 * `level` is 0 for the default of the format.
 */
struct compress *compress_new(enum compress_format format, int level,
			      int (*write)(void *arg, const void *data, size_t len,
					   struct err *e),
			      void *arg);

/*
 * Returns a gzip compressor, which the caller releases. It uses libdeflate and writes a
 * member for each MiB of input. `level` is 1 to COMPRESS_GZIP_LEVELS, or 0 for the
 * default of 5. Level 5 compresses better than level 6 of gzip(1) and pigz(1). The output
 * goes to write(arg, data, len, e), which returns 0, or -1 with the reason.
 */
struct compress *compress_gzip(int level,
			       int (*write)(void *arg, const void *data, size_t len,
					    struct err *e),
			       void *arg);

/*
 * Returns a zstd compressor, which writes one frame with a checksum. `level` is 1 to
 * COMPRESS_ZSTD_LEVELS, or 0 for the default of 3. Otherwise the same as compress_gzip().
 */
struct compress *compress_zstd(int level,
			       int (*write)(void *arg, const void *data, size_t len,
					    struct err *e),
			       void *arg);

#endif
