#include "archive/gunzip.h"

#include "base/buf.h"
#include "base/err.h"

#include "tap.h"

#include <libdeflate.h>
#include <stdint.h>

enum { SIZE = 300000 };

static char content[SIZE];

/* Text that repeats itself from near and far, with some noise. */
static void make_content(void)
{
	for (uint32_t i = 0, x = 1; i < SIZE; i++) {
		x = x * 1664525 + 1013904223;
		uint32_t back = x >> 17;
		content[i] = (char)(i > back && i / 100 % 3 != 0 ? content[i - back - 1]
								 : (char)(x >> 24));
	}
}

/* Appends a member of content[0..len). */
static void add_member(struct buf *b, size_t len, int level)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(level);
	size_t room = libdeflate_gzip_compress_bound(c, len);

	b->len += libdeflate_gzip_compress(c, content, len, buf_reserve(b, room), room);
	libdeflate_free_compressor(c);
}

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

/* Uncompresses `b`, given in pieces of `piece` bytes. */
static int gunzip(const struct buf *b, size_t piece, struct buf *out, struct err *e)
{
	struct gunzip *g = gunzip_new(keep, out);
	int result = 0;

	buf_clear(out);
	for (size_t at = 0; at < b->len && result == 0; at += piece)
		result = gunzip_add(g, b->data + at,
				    b->len - at < piece ? b->len - at : piece, e);
	if (result == 0)
		result = gunzip_end(g, e);
	gunzip_release(g);
	return result;
}

static bool is_content(const struct buf *out, size_t len)
{
	return out->len == len && (len == 0 || memcmp(out->data, content, len) == 0);
}

static void test_levels(void)
{
	static const size_t sizes[] = {0, 1, 511, 32768, 65535, 65536, SIZE};
	struct buf b = {0}, out = {0};
	struct err e;
	char what[128];

	for (int level = 0; level <= 12; level++) {
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			bool good = true;
			buf_clear(&b);
			add_member(&b, sizes[i], level);
			/* Byte by byte takes long. */
			size_t piece = sizes[i] <= 511 || level % 6 == 0 ? 1 : 57;
			for (; piece < 2 * b.len; piece = piece * 7 + 1)
				good = good && gunzip(&b, piece, &out, &e) == 0 &&
				       is_content(&out, sizes[i]);
			snprintf(what, sizeof what, "level %d, %zu bytes", level,
				 sizes[i]);
			tap_ok(good, what);
		}
	}
	buf_release(&b);
	buf_release(&out);
}

/* The engine, in rooms of any size: it may stop anywhere. */
static void test_rooms(void)
{
	static unsigned char room[SIZE];
	struct buf b = {0}, out = {0};
	struct err e;
	char what[128];

	for (int level = 0; level <= 6; level += 3) {
		buf_clear(&b);
		add_member(&b, SIZE, level);
		add_member(&b, SIZE / 2, level);
		for (size_t size = 1; size <= SIZE; size = size * 9 + 1) {
			struct gunzip_engine *x = gunzip_engine_new();
			const unsigned char *in = (const unsigned char *)b.data;
			size_t left = b.len, ends = 0, empty = 0;
			int result = 0;
			buf_clear(&out);
			gunzip_engine_begin(x);
			while (result >= 0 && ends < 2 && empty < 2) {
				size_t got = size, some = left < 1000 ? left : 1000;
				size_t given = some;
				result =
				    gunzip_engine_step(x, &in, &some, room, &got, &e);
				left -= given - some;
				buf_add(&out, room, got);
				empty = got == 0 && given == some ? empty + 1 : 0;
				if (result == 1 && ++ends < 2)
					gunzip_engine_begin(x);
			}
			snprintf(what, sizeof what, "level %d, a room of %zu bytes",
				 level, size);
			tap_ok(ends == 2 && left == 0 && out.len == SIZE + SIZE / 2 &&
				   memcmp(out.data, content, SIZE) == 0 &&
				   memcmp(out.data + SIZE, content, SIZE / 2) == 0,
			       what);
			gunzip_engine_release(x);
		}
	}
	buf_release(&b);
	buf_release(&out);
}

/* A header with all that may be in one, in front of a stored block of "abc". */
static void add_long_header(struct buf *b, size_t name_len)
{
	static const unsigned char head[] = {0x1f, 0x8b, 8, 4 | 8 | 16, 1, 2, 3, 4, 0, 3};
	static const unsigned char rest[] = {1,    3,    0,    0xfc, 0xff, 'a', 'b', 'c',
					     0xc2, 0x41, 0x24, 0x35, 3,    0,   0,   0};

	buf_add(b, head, sizeof head);
	buf_addch(b, 4);
	buf_addch(b, 0);
	buf_add(b, "XX\0", 4);
	for (size_t i = 0; i < name_len; i++)
		buf_addch(b, 'n');
	buf_addch(b, '\0');
	buf_add(b, "a comment", 10);
	buf_add(b, rest, sizeof rest);
}

static void test_headers(void)
{
	struct buf b = {0}, out = {0};
	struct err e;
	bool good = true;

	add_long_header(&b, 3000);
	add_long_header(&b, 0);
	add_long_header(&b, 20);
	for (size_t piece = 1; piece <= b.len; piece++)
		good = good && gunzip(&b, piece, &out, &e) == 0 && out.len == 9 &&
		       memcmp(out.data, "abcabcabc", 9) == 0;
	tap_ok(good, "headers with fields, cut anywhere");
	buf_release(&b);
	buf_release(&out);
}

static void test_members(void)
{
	struct buf b = {0}, out = {0};
	struct err e;
	bool good = true;

	for (size_t i = 0; i < 100; i++)
		add_member(&b, i % 5, 6);
	for (size_t piece = 1; piece <= b.len; piece++)
		good = good && gunzip(&b, piece, &out, &e) == 0 && out.len == 200;
	tap_ok(good, "many members, cut anywhere");
	for (size_t i = 0; i < 1000; i++)
		buf_addch(&b, '\0');
	tap_ok(gunzip(&b, 100, &out, &e) == 0 && out.len == 200, "zeroes behind them");
	buf_addch(&b, 'x');
	tap_ok(gunzip(&b, 100, &out, &e) < 0, "something behind the zeroes");
	tap_is(e.text, "extra data after the last gzip member", "it says so");

	/* A member does not see what the one before it left. */
	static const unsigned char far_back[] = {0x1f, 0x8b, 8,    0,    0, 0, 0, 0, 0,
						 3,    0x03, 0xe6, 0x0d, 0, 0, 0, 0, 0};
	buf_clear(&b);
	add_member(&b, 1000, 6);
	buf_add(&b, far_back, sizeof far_back);
	tap_ok(gunzip(&b, b.len, &out, &e) < 0, "a match that reaches before its member");
	buf_release(&b);
	buf_release(&out);
}

static void test_errors(void)
{
	struct buf b = {0}, out = {0}, cut = {0};
	struct err e;
	bool good = true;

	add_member(&b, 1000, 6);
	size_t first = b.len;
	add_member(&b, 100, 6);
	for (size_t len = 0; len < b.len; len++) {
		buf_clear(&cut);
		buf_add(&cut, b.data, len);
		int result = gunzip(&cut, 64, &out, &e);
		good = good && (len == first ? result == 0 : result < 0);
	}
	tap_ok(good, "truncated anywhere");
	good = true;
	for (size_t i = 1; i <= 8; i++) {
		b.data[b.len - i] ^= 1;
		good = good && gunzip(&b, 1000, &out, &e) < 0;
		good = good && gunzip(&b, 1, &out, &e) < 0;
		b.data[b.len - i] ^= 1;
		b.data[first - i] ^= 0x40;
		good = good && gunzip(&b, 1000, &out, &e) < 0;
		good = good && gunzip(&b, 1, &out, &e) < 0;
		b.data[first - i] ^= 0x40;
	}
	tap_ok(good, "each bit of CRC and length counts");
	buf_addstr(&b, "garbage");
	tap_ok(gunzip(&b, 1000, &out, &e) < 0, "garbage");
	tap_is(e.text, "extra data after the last gzip member", "it says so");
	buf_clear(&b);
	tap_ok(gunzip(&b, 1, &out, &e) < 0, "nothing");
	buf_addch(&b, '\0');
	tap_ok(gunzip(&b, 1, &out, &e) < 0, "zeroes alone");
	buf_clear(&b);
	buf_addstr(&b, "\x1f\x8cxxxxxxxxxxxxxxxxxx");
	tap_ok(gunzip(&b, 1, &out, &e) < 0 && gunzip(&b, 9, &out, &e) < 0,
	       "half of the magic");
	buf_release(&b);
	buf_release(&out);
	buf_release(&cut);
}

static void test_refusal(void)
{
	struct buf b = {0};
	struct err e = {""};
	struct gunzip *g = gunzip_new(refuse, NULL);

	add_member(&b, SIZE, 6);
	tap_ok(gunzip_add(g, b.data, b.len, &e) < 0, "who gets it refuses it");
	tap_is(e.text, "no more", "it is passed on why");
	gunzip_release(g);
	gunzip_release(NULL);
	buf_release(&b);
}

int main(void)
{
	make_content();
	test_levels();
	test_rooms();
	test_headers();
	test_members();
	test_errors();
	test_refusal();
	return tap_done();
}
