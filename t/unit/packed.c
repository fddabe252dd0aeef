#include "image/packed.h"

#include "archive/unpack.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "image/image.h"

#include "tap.h"

enum { BEFORE = 700, SIZE = 3 << 20 };

static char content[SIZE];

/* Whether the file of `p` has the bytes that its digest states. */
static bool is_true(const struct packed *p)
{
	char hex[DIGEST_HEX + 1];

	return digest_span(p->fd, p->at, p->size, hex) == 0 && strcmp(hex, p->hex) == 0;
}

static void test_text(void)
{
	struct packed p = {0};
	struct err e;
	char hex[DIGEST_HEX + 1];
	uint64_t size = 0;

	digest_of("hello", 5, hex);
	tap_ok(packed_begin(&p, &e) == 0 && packed_wait(&p, 0, &size, &e) == 0,
	       "a file that is empty grows");
	tap_ok(packed_text(&p, "hello", 5, &e) == 0, "a text");
	tap_is(p.hex, hex, "its digest");
	tap_ok(is_true(&p), "its bytes");
	tap_int(
	    packed_wait(&p, 100, &size, &e), 1,
	    "it is complete, though there are not as many bytes as the caller waits for");
	tap_int((long long)size, 5, "its size");
	packed_release(&p);
	packed_release(&p);
}

/* --- members of an archive --- */

/* A file that has the data behind some other bytes, and the same place in an archive. */
struct archive {
	struct unpack_index x;
	struct unpack_place place;
	char hex[DIGEST_HEX + 1];
};

static void open_archive(struct archive *a, const void *data, size_t len)
{
	static const char before[BEFORE] = {1};

	*a = (struct archive){.x = {.fd = io_tmpfile(), .spool = -1},
			      .place = {.offset = BEFORE, .size = len, .is_file = true}};
	digest_of(data, len, a->hex);
	if (io_write(a->x.fd, before, BEFORE) < 0 || io_write(a->x.fd, data, len) < 0 ||
	    io_write(a->x.fd, before, BEFORE) < 0)
		abort();
}

static void takes(const struct archive *a, const char *hex, const char *diff_id,
		  const char *why, const char *what)
{
	struct packed p = {0};
	struct err e = {""};
	uint64_t size = 0;

	int result = packed_member(&p, &a->x, &a->place, hex, diff_id, &e);
	tap_is(result == 0 ? "taken" : e.text, why != NULL ? why : "taken", what);
	if (why == NULL)
		tap_ok(packed_wait(&p, 0, &size, &e) == 1 && size == a->place.size &&
			   is_true(&p) && strcmp(p.hex, a->hex) == 0,
		       "it is the member");
	packed_release(&p);
	tap_ok(lseek(a->x.fd, 0, SEEK_CUR) >= 0, "the archive stays open");
}

static int keep(void *arg, const void *data, size_t len, struct err *e)
{
	(void)e;
	buf_add(arg, data, len);
	return 0;
}

static void compress(struct buf *out, enum compress_format format)
{
	struct err e;
	struct compress *c = format == COMPRESS_ZSTD ? compress_zstd(1, keep, out)
						     : compress_gzip(1, keep, out);

	if (c->add(c, content, SIZE, &e) < 0 || c->end(c, &e) < 0)
		abort();
	c->release(c);
}

static void test_member(enum compress_format format)
{
	struct buf blob = {0}, why = {0};
	struct archive a;
	char diff_id[DIGEST_HEX + 1], other[DIGEST_HEX + 1];

	digest_of(content, SIZE, diff_id);
	digest_of("", 0, other);
	compress(&blob, format);
	open_archive(&a, blob.data, blob.len);
	takes(&a, a.hex, diff_id, NULL, "a compressed layer");
	takes(&a, a.hex, NULL, NULL, "a blob");
	buf_addf(&why, "blob sha256:%s has the digest sha256:%s", other, a.hex);
	takes(&a, other, diff_id, why.data, "another digest");
	takes(&a, other, NULL, why.data, "another digest of a blob");
	buf_clear(&why);
	buf_addf(&why,
		 "layer sha256:%s unpacks to sha256:%s, not to its diff_id sha256:%s",
		 a.hex, diff_id, other);
	takes(&a, a.hex, other, why.data, "another diff_id");
	buf_clear(&why);
	a.place.size += BEFORE + 1;
	buf_addf(&why, "blob sha256:%s: Input/output error", a.hex);
	takes(&a, a.hex, diff_id, why.data, "a member that ends behind the archive");
	close(a.x.fd);

	blob.data[blob.len / 2] ^= 1;
	open_archive(&a, blob.data, blob.len);
	struct packed p = {0};
	struct err e;
	tap_ok(packed_member(&p, &a.x, &a.place, a.hex, diff_id, &e) < 0,
	       "a damaged layer whose digest is right");
	packed_release(&p);
	close(a.x.fd);
	buf_release(&blob);
	buf_release(&why);
}

/* --- layers --- */

static void count(void *arg)
{
	++*(int *)arg;
}

/* Compresses a layer with a compressor that was used before. */
static void pack(struct packed *p, const struct image *im, struct compress *c,
		 const struct buf *want, const char *what)
{
	struct err e = {""};
	int reached = 0;
	uint64_t size = 0;

	if (packed_begin(p, &e) < 0)
		abort();
	p->mark = want->len / 2;
	p->reached = count;
	p->arg = &reached;
	tap_is(packed_layer(p, im, 0, c, &e) == 0 ? "" : e.text, "", what);
	tap_ok(packed_wait(p, 0, &size, &e) == 1 && size == want->len && is_true(p),
	       "it is complete");
	char hex[DIGEST_HEX + 1];
	digest_of(want->data, want->len, hex);
	tap_is(p->hex, hex, "it is what a new compressor writes");
	tap_int(reached, 1, "the mark was reached once");
	packed_release(p);
}

static void test_layer(enum compress_format format)
{
	struct archive a;
	struct image_archive archive = {0};
	struct image_layer layer = {{0}, &a.place};
	struct image im = {.archive = &archive, .file = "it", .layer = &layer, .n = 1};
	struct compress *c = packed_compressor(format, 1);
	struct buf want = {0};
	struct packed p = {0};
	struct err e = {""}, again = {""};
	uint64_t size;

	compress(&want, format);
	open_archive(&a, content, SIZE);
	archive.index = a.x;
	memcpy(layer.diff_id, a.hex, sizeof layer.diff_id);
	pack(&p, &im, c, &want, "a layer");
	pack(&p, &im, c, &want, "another layer");
	layer.diff_id[0] ^= 1;
	tap_ok(packed_begin(&p, &e) == 0 && packed_layer(&p, &im, 0, c, &e) < 0,
	       "a layer with another diff_id");
	tap_ok(packed_wait(&p, UINT64_MAX, &size, &again) < 0, "who waits for it fails");
	tap_is(again.text, e.text, "for the same reason");
	packed_release(&p);
	c->release(c);
	close(a.x.fd);
	buf_release(&want);
}

int main(void)
{
	for (uint32_t i = 0, x = 1; i < SIZE; i++) {
		x = x * 1664525 + 1013904223;
		content[i] = (char)(x >> 28);
	}
	test_text();
	test_member(COMPRESS_GZIP);
	test_member(COMPRESS_ZSTD);
	test_layer(COMPRESS_GZIP);
	test_layer(COMPRESS_ZSTD);
	return tap_done();
}
