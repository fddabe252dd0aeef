#include "archive/compress.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"

#include "tap.h"

#include <fcntl.h>
#include <zstd.h>

enum { SIZE = 1000000, BEFORE = 777 };

static char content[SIZE];

static int keep(void *arg, const void *data, size_t len, struct err *e)
{
	(void)e;
	buf_add(arg, data, len);
	return 0;
}

static int refuse(void *arg, const void *data, size_t len, struct err *e)
{
	(void)arg, (void)data, (void)len;
	return err_set(e, "no more");
}

static void add_frame(struct buf *b, size_t len, int has_checksum)
{
	ZSTD_CCtx *z = ZSTD_createCCtx();
	size_t room = ZSTD_compressBound(len);

	ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, has_checksum);
	b->len += ZSTD_compress2(z, buf_reserve(b, room), room, content, len);
	ZSTD_freeCCtx(z);
}

/* Uncompresses `b`, which lies in the middle of a file. */
static int inflate(const struct buf *b, size_t len, struct buf *out, struct err *e)
{
	static const char before[BEFORE] = {1};
	int fd = io_tmpfile();

	buf_clear(out);
	if (io_write(fd, before, BEFORE) < 0 || io_write(fd, b->data, b->len) < 0 ||
	    io_write(fd, before, BEFORE) < 0)
		abort();
	int result = compress_inflate(fd, BEFORE, len, keep, out, "it", e);
	tap_int(lseek(fd, 0, SEEK_CUR), (long long)b->len + 2 * BEFORE,
		"the file's own position stays");
	close(fd);
	return result;
}

static void test_zstd(void)
{
	static const size_t sizes[] = {0, 1, 131071, 131072, 131073, SIZE};
	struct buf b = {0}, out = {0};
	struct err e;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		buf_clear(&b);
		add_frame(&b, sizes[i], 1);
		tap_ok(inflate(&b, b.len, &out, &e) == 0 && out.len == sizes[i] &&
			   (out.len == 0 || memcmp(out.data, content, out.len) == 0),
		       "a frame");
	}
	size_t frame = b.len;
	buf_add(&b, "\x50\x2a\x4d\x18\3\0\0\0abc", 11);
	add_frame(&b, 1000, 0);
	tap_ok(inflate(&b, b.len, &out, &e) == 0 && out.len == SIZE + 1000 &&
		   memcmp(out.data + SIZE, content, 1000) == 0,
	       "frames, and one to be skipped");
	tap_ok(inflate(&b, frame + 11, &out, &e) == 0 && out.len == SIZE, "one less");
	tap_ok(inflate(&b, frame - 1, &out, &e) < 0, "truncated");
	tap_is(e.text, "it: truncated in the middle of a zstd frame", "it says so");
	tap_ok(inflate(&b, frame + 2, &out, &e) < 0, "truncated in the next one's magic");
	tap_ok(inflate(&b, frame + 10, &out, &e) < 0, "truncated in what is skipped");
	tap_ok(inflate(&b, b.len - 1, &out, &e) < 0, "truncated at the end");
	b.data[frame - 1] ^= 1;
	tap_ok(inflate(&b, b.len, &out, &e) < 0, "a wrong checksum");
	b.data[frame - 1] ^= 1;
	buf_addstr(&b, "garbage");
	tap_ok(inflate(&b, b.len, &out, &e) < 0, "garbage behind it");
	tap_ok(inflate(&b, b.len + 2 * BEFORE, &out, &e) < 0, "beyond the file");
	buf_release(&b);
	buf_release(&out);
}

static void test_others(void)
{
	struct buf b = {0}, out = {0};
	struct err e;
	int fd = open("/dev/null", O_RDONLY);

	tap_ok(inflate(&b, 0, &out, &e) < 0, "nothing");
	tap_is(e.text, "it: neither gzip nor zstd", "it says so");
	buf_addstr(&b, "just some text");
	tap_ok(inflate(&b, b.len, &out, &e) < 0, "neither");
	tap_is(e.text, "it: neither gzip nor zstd", "it says so");
	tap_ok(compress_inflate(fd, 0, 1, keep, &out, "it", &e) < 0, "an empty file");
	tap_is(e.text, "it: truncated", "it says so");
	tap_ok(compress_inflate(-1, 0, 1, keep, &out, "it", &e) < 0, "no file");
	tap_is(e.text, "it: Bad file descriptor", "it says so");
	close(fd);

	static const char empty[20] = "\x1f\x8b\x08\0\0\0\0\0\0\x03\x03";
	buf_clear(&b);
	buf_add(&b, empty, sizeof empty);
	tap_ok(inflate(&b, 20, &out, &e) == 0 && out.len == 0, "gzip of nothing");
	buf_addch(&b, '\0');
	buf_add(&b, empty, sizeof empty);
	tap_ok(inflate(&b, 21, &out, &e) == 0, "a zero behind it");
	tap_ok(inflate(&b, 22, &out, &e) < 0, "a zero in the middle");
	tap_is(e.text, "it: extra data after the last gzip member", "it says so");
	tap_ok(inflate(&b, 19, &out, &e) < 0, "gzip, truncated");
	buf_release(&b);
	buf_release(&out);
}

static void test_refusal(void)
{
	struct buf b = {0};
	struct err e;
	int fd = io_tmpfile();

	add_frame(&b, SIZE, 0);
	if (io_write(fd, b.data, b.len) < 0)
		abort();
	tap_ok(compress_inflate(fd, 0, b.len, refuse, NULL, "it", &e) < 0,
	       "who gets it refuses it");
	tap_is(e.text, "no more", "it is passed on why");
	close(fd);
	buf_release(&b);
}

static void test_detect(void)
{
	static const struct {
		const char *what, *bytes;
		size_t len;
		enum compress_format format;
	} cases[] = {
	    {"gzip", "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10, COMPRESS_GZIP},
	    {"gzip, short", "\x1f\x8b\x08", 3, COMPRESS_GZIP},
	    {"gzip, shorter", "\x1f\x8b", 2, COMPRESS_NONE},
	    {"zstd", "\x28\xb5\x2f\xfd\x24", 5, COMPRESS_ZSTD},
	    {"zstd, skippable", "\x5f\x2a\x4d\x18\x24", 5, COMPRESS_ZSTD},
	    {"bzip2", "BZh91AY&SY", 10, COMPRESS_OTHER},
	    {"bzip2 of nothing", "BZh9\x17\x72\x45\x38\x50\x90", 10, COMPRESS_OTHER},
	    {"a tar of 'BZh9-file'", "BZh9-file\0", 10, COMPRESS_NONE},
	    {"xz",
	     "\xfd"
	     "7zXZ\0\0\4\xe6\xd6",
	     10, COMPRESS_OTHER},
	    {"lz4", "\x04\x22\x4d\x18", 4, COMPRESS_OTHER},
	    {"lzip", "LZIP\x01\x0c\0\0\0\0", 10, COMPRESS_OTHER},
	    {"a tar of 'LZIP'", "LZIP\0\0\0\0\0\0", 10, COMPRESS_NONE},
	    {"compress", "\x1f\x9d\x90", 3, COMPRESS_OTHER},
	    {"a tar", "./\0\0\0\0\0\0\0\0", 10, COMPRESS_NONE},
	    {"zeroes", "\0\0\0\0\0\0\0\0\0\0", 10, COMPRESS_NONE},
	    {"nothing", "", 0, COMPRESS_NONE},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		tap_int(compress_detect(cases[i].bytes, cases[i].len), cases[i].format,
			cases[i].what);
}

/* Compresses the contents `n` times, as one stream. */
static void stream(struct compress *c, int n, struct buf *out)
{
	struct err e;

	buf_clear(out);
	for (int i = 0; i < n; i++)
		if (c->add(c, content, SIZE, &e) < 0)
			abort();
	if (c->end(c, &e) < 0)
		abort();
}

/* A compressor that was used before writes what a new one writes. */
static void test_restart(bool is_zstd)
{
	static const int sizes[] = {7, 0, 1, 3, 0, 40};
	struct buf got = {0}, other = {0}, want = {0};
	struct compress *used =
	    is_zstd ? compress_zstd(1, keep, &other) : compress_gzip(1, keep, &other);

	stream(used, 2, &other);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct compress *new = is_zstd ? compress_zstd(1, keep, &want)
					       : compress_gzip(1, keep, &want);
		size_t before = other.len;
		used->restart(used, &got);
		stream(used, sizes[i], &got);
		stream(new, sizes[i], &want);
		tap_ok(got.len == want.len && memcmp(got.data, want.data, got.len) == 0,
		       is_zstd ? "zstd, another stream" : "gzip, another stream");
		tap_ok(other.len == before, "the former receiver gets nothing");
		new->release(new);
	}
	used->release(used);
	buf_release(&got);
	buf_release(&other);
	buf_release(&want);
}

int main(void)
{
	for (uint32_t i = 0, x = 1; i < SIZE; i++) {
		x = x * 1664525 + 1013904223;
		content[i] = (char)(x >> 28);
	}
	test_detect();
	test_zstd();
	test_others();
	test_refusal();
	test_restart(false);
	test_restart(true);
	return tap_done();
}
