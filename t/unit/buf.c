#include "base/buf.h"

#include "tap.h"

static void reserve_all(const char *text)
{
	struct buf b = {0};

	buf_addstr(&b, text);
	buf_reserve(&b, (size_t)-1);
}

static void reserve_half(const char *text)
{
	struct buf b = {0};

	buf_addstr(&b, text);
	buf_reserve(&b, (size_t)-1 / 2 + 1);
}

int main(void)
{
	struct buf b = {0};

	buf_release(&b);
	tap_ok(b.data == NULL, "releasing an empty one");
	buf_clear(&b);
	buf_add(&b, NULL, 0);
	tap_is(b.data, "", "nothing added");
	buf_addstr(&b, "one");
	buf_addch(&b, ' ');
	buf_addf(&b, "%s %d", "two", 3);
	tap_is(b.data, "one two 3", "the ways to add");
	tap_int((long long)b.len, 9, "its length");
	buf_addf(&b, "%s", "");
	tap_int((long long)b.len, 9, "an empty format");
	buf_clear(&b);
	tap_is(b.data, "", "cleared");

	buf_add(&b, "a\0b", 3);
	tap_ok(b.len == 3 && memcmp(b.data, "a\0b", 4) == 0, "a NUL byte inside");
	buf_clear(&b);
	buf_addf(&b, "%5000d", 1);
	tap_ok(b.len == 5000 && strlen(b.data) == 5000, "a long format");
	for (int i = 0; i < 100000; i++)
		buf_addch(&b, 'x');
	tap_ok(b.len == 105000 && b.cap > b.len && b.data[b.len] == '\0', "growing");
	char *at = buf_reserve(&b, 1000);
	memset(at, 'y', 1000);
	tap_ok(at == b.data + b.len && b.len == 105000, "reserving adds nothing");
	buf_release(&b);
	tap_ok(b.data == NULL && b.len == 0 && b.cap == 0, "released");

	tap_dies(1, reserve_all, "x", "more than the length of a size");
	tap_dies(1, reserve_half, "x", "more than memory has");
	return tap_done();
}
