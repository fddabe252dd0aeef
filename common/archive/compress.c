#include "archive/compress.h"

#include "archive/gunzip.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { READ_SIZE = 128 << 10 };

static bool begins(const unsigned char *p, size_t len, const char *magic, size_t n)
{
	return len >= n && memcmp(p, magic, n) == 0;
}

/*
 * A tar may start with a file name such as "BZh" or "LZIP", so more bytes are compared
 * for these two formats.
 */
static bool is_bzip2(const unsigned char *p, size_t len)
{
	return begins(p, len, "BZh", 3) && len >= 10 && p[3] >= '1' && p[3] <= '9' &&
	       (memcmp(p + 4, "1AY&SY", 6) == 0 ||
		memcmp(p + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0);
}

static bool is_lzip(const unsigned char *p, size_t len)
{
	return begins(p, len, "LZIP", 4) && len >= 6 && p[4] <= 1 && (p[5] & 31) >= 12 &&
	       (p[5] & 31) <= 29;
}

/*
 * A zstd stream may also start with a skippable frame, which some programs write first.
 */
static bool is_zstd(const unsigned char *p, size_t len)
{
	return begins(p, len, "\x28\xb5\x2f\xfd", 4) ||
	       (len >= 4 && (p[0] & 0xf0) == 0x50 &&
		memcmp(p + 1, "\x2a\x4d\x18", 3) == 0);
}

enum compress_format compress_named(const char *name)
{
	if (strcmp(name, "none") == 0)
		return COMPRESS_NONE;
	if (strcmp(name, "gz") == 0)
		return COMPRESS_GZIP;
	return strcmp(name, "zstd") == 0 ? COMPRESS_ZSTD : COMPRESS_OTHER;
}

int compress_level(enum compress_format format, const char *value)
{
	if (value == NULL)
		return 0;
	return (int)num_option("level", value, 1,
			       format == COMPRESS_GZIP ? COMPRESS_GZIP_LEVELS
						       : COMPRESS_ZSTD_LEVELS);
}

struct compress *compress_new(enum compress_format format, int level,
			      int (*write)(void *arg, const void *data, size_t len,
					   struct err *e),
			      void *arg)
{
	return format == COMPRESS_ZSTD ? compress_zstd(level, write, arg)
				       : compress_gzip(level, write, arg);
}

enum compress_format compress_detect(const void *data, size_t len)
{
	const unsigned char *p = data;

	if (begins(p, len, "\x1f\x8b\x08", 3))
		return COMPRESS_GZIP;
	if (is_zstd(p, len))
		return COMPRESS_ZSTD;
	if (begins(p, len,
		   "\xfd"
		   "7zXZ\0",
		   6) ||
	    begins(p, len, "\x04\x22\x4d\x18", 4) || begins(p, len, "\x1f\x9d", 2) ||
	    is_bzip2(p, len) || is_lzip(p, len))
		return COMPRESS_OTHER;
	return COMPRESS_NONE;
}

/* The compressed input and the receiver of the output. */
struct inflation {
	int fd;
	off_t at;
	uint64_t left;
	int (*write)(void *arg, const void *data, size_t len, struct err *e);
	void *arg;
	bool write_failed; /* write() failed and has set the reason */
	unsigned char data[READ_SIZE];
};

static int pass(void *arg, const void *data, size_t len, struct err *e)
{
	struct inflation *s = arg;

	if (s->write(s->arg, data, len, e) == 0)
		return 0;
	s->write_failed = true;
	return -1;
}

/* Reads the next bytes into s->data. Returns their number, 0 at the end, or -1. */
static ssize_t next(struct inflation *s, struct err *e)
{
	size_t want = s->left < READ_SIZE ? (size_t)s->left : READ_SIZE;

	if (want == 0)
		return 0;
	ssize_t n = io_pread(s->fd, s->data, want, s->at);
	if (n < 0)
		return err_set(e, "%s", strerror(errno));
	if (n == 0)
		return err_set(e, "truncated");
	s->at += n;
	s->left -= (uint64_t)n;
	return n;
}

static int inflate_gzip(struct inflation *s, ssize_t n, struct err *e)
{
	struct gunzip *g = gunzip_new(pass, s);
	int result = 0;

	for (; n > 0; n = next(s, e)) {
		result = gunzip_add(g, s->data, (size_t)n, e);
		if (result < 0)
			break;
	}
	if (n < 0)
		result = -1;
	else if (result == 0)
		result = gunzip_end(g, e);
	gunzip_release(g);
	return result;
}

/*
 * Uncompresses the `n` bytes in s->data. Sets *is_end to whether a frame ends exactly
 * there.
 */
static int add_zstd(struct inflation *s, ZSTD_DCtx *z, size_t n, char *room, bool *is_end,
		    struct err *e)
{
	ZSTD_inBuffer in = {s->data, n, 0};
	ZSTD_outBuffer out = {room, ZSTD_DStreamOutSize(), 0};

	do {
		out.pos = 0;
		size_t result = ZSTD_decompressStream(z, &out, &in);
		if (ZSTD_isError(result))
			return err_set(e, "broken zstd: %s", ZSTD_getErrorName(result));
		if (out.pos > 0 && pass(s, room, out.pos, e) < 0)
			return -1;
		*is_end = result == 0;
	} while (in.pos < in.size || (out.pos == out.size && !*is_end));
	return 0;
}

static int inflate_zstd(struct inflation *s, ssize_t n, struct err *e)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();
	char *room = malloc(ZSTD_DStreamOutSize());
	bool is_end = false;
	int result = 0;

	if (z == NULL || room == NULL)
		die("out of memory");
	for (; n > 0; n = next(s, e)) {
		result = add_zstd(s, z, (size_t)n, room, &is_end, e);
		if (result < 0)
			break;
	}
	if (n < 0)
		result = -1;
	else if (result == 0 && !is_end)
		result = err_set(e, "truncated in the middle of a zstd frame");
	free(room);
	ZSTD_freeDCtx(z);
	return result;
}

int compress_inflate(int fd, off_t offset, uint64_t size,
		     int (*write)(void *arg, const void *data, size_t len, struct err *e),
		     void *arg, const char *what, struct err *e)
{
	struct inflation *s = mem_zero(1, sizeof *s);
	int result;

	s->fd = fd;
	s->at = offset;
	s->left = size;
	s->write = write;
	s->arg = arg;
	ssize_t n = next(s, e);
	switch (n > 0 ? compress_detect(s->data, (size_t)n) : COMPRESS_NONE) {
	case COMPRESS_GZIP:
		result = inflate_gzip(s, n, e);
		break;
	case COMPRESS_ZSTD:
		result = inflate_zstd(s, n, e);
		break;
	default:
		result = n < 0 ? -1 : err_set(e, "neither gzip nor zstd");
	}
	if (result < 0 && !s->write_failed)
		err_prefix(e, "%s", what);
	free(s);
	return result;
}
