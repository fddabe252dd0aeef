#include "registry/field.h"

#include <stddef.h>

#include "tap.h"

enum { NONE = -1 };

static void number(const char *value, long long want)
{
	uint64_t n = 0;
	bool is_one = field_number(value, &n);

	tap_int(is_one ? (long long)n : NONE, want, value != NULL ? value : "no number");
}

static void kept(const char *value, long long want)
{
	uint64_t n = 0;
	bool is_one = field_kept(value, &n);

	tap_int(is_one ? (long long)n : NONE, want, value != NULL ? value : "no Range");
}

static void first(const char *value, long long want)
{
	uint64_t n = 0;
	bool is_one = field_first(value, &n);

	tap_int(is_one ? (long long)n : NONE, want,
		value != NULL ? value : "no Content-Range");
}

static void type(const char *value, const char *want)
{
	char got[FIELD_TYPE];

	field_type(value, got);
	tap_is(got, want, value != NULL ? value : "no Content-Type");
}

static void test_long_type(void)
{
	char value[FIELD_TYPE + 10], got[FIELD_TYPE];

	memset(value, 'X', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	field_type(value, got);
	tap_ok(strlen(got) == FIELD_TYPE - 1 && got[FIELD_TYPE - 2] == 'x',
	       "a long media type is truncated");
}

int main(void)
{
	number(NULL, NONE);
	number("", NONE);
	number("0", 0);
	number("33554432", 33554432);
	number("9223372036854775807", INT64_MAX);
	number("9223372036854775808", NONE);
	number("18446744073709551616", NONE);
	number("-1", NONE);
	number("+1", NONE);
	number(" 1", NONE);
	number("1 ", NONE);
	number("0x10", NONE);
	number("1.5", NONE);

	kept(NULL, NONE);
	kept("", NONE);
	kept("0-0", 0);
	kept("0-1", 2);
	kept("0-33554431", 33554432);
	kept("bytes=0-99", 100);
	kept("bytes=0-0", 0);
	kept("bytes 0-99", NONE);
	kept("bytes=bytes=0-99", NONE);
	kept("1-99", NONE);
	kept("00-99", NONE);
	kept("-99", NONE);
	kept("0-", NONE);
	kept("0", NONE);
	kept("0--1", NONE);
	kept("0/99", NONE);
	kept("0-99/100", NONE);
	kept("0-99,200-299", NONE);
	kept("0-9223372036854775808", NONE);
	kept("0-9223372036854775806", INT64_MAX);
	uint64_t n = 0;
	tap_ok(field_kept("0-9223372036854775807", &n) && n == (uint64_t)INT64_MAX + 1,
	       "the largest Range");

	first(NULL, NONE);
	first("", NONE);
	first("bytes 0-9/10", 0);
	first("bytes 100-199/200", 100);
	first("bytes 100-199/*", 100);
	first("Bytes 7-9/10", 7);
	first("bytes=100-199/200", NONE);
	first("bytes */200", NONE);
	first("bytes -5/200", NONE);
	first("bytes  5-9/200", NONE);
	first("100-199/200", NONE);
	first("bytes 9223372036854775808-9223372036854775809/*", NONE);

	type(NULL, "");
	type("", "");
	type("text/html", "text/html");
	type("Application/JSON; charset=utf-8", "application/json");
	type("a/b;c", "a/b");
	type("a/b\tc", "a/b");
	type(";", "");
	type("a/b\x0b", "");
	type("\xc3\xa4/b", "");
	test_long_type();
	return tap_done();
}
