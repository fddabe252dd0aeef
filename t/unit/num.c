#include "base/num.h"

#include "tap.h"

static void is_parsed(const char *s, uint64_t max, uint64_t want)
{
	uint64_t n = 0;
	int result = num_parse(s, strlen(s), max, &n);

	tap_ok(result == 0 && n == want, s);
}

static void is_refused(const char *s, uint64_t max)
{
	uint64_t n = 7;
	int result = num_parse(s, strlen(s), max, &n);

	tap_ok(result == -1 && n == 7, s);
}

static void option(const char *value)
{
	num_option("count", value, 2, 10);
}

int main(void)
{
	uint64_t n;

	is_parsed("0", 0, 0);
	is_parsed("007", 7, 7);
	is_parsed("10", 10, 10);
	is_parsed("18446744073709551615", UINT64_MAX, UINT64_MAX);
	is_parsed("0000000000000000000000000001", UINT64_MAX, 1);
	is_refused("", UINT64_MAX);
	is_refused("11", 10);
	is_refused("-1", UINT64_MAX);
	is_refused("+1", UINT64_MAX);
	is_refused(" 1", UINT64_MAX);
	is_refused("1 ", UINT64_MAX);
	is_refused("1k", UINT64_MAX);
	is_refused("0x1", UINT64_MAX);
	is_refused("18446744073709551616", UINT64_MAX);
	is_refused("18446744073709551620", UINT64_MAX);
	is_refused("99999999999999999999", UINT64_MAX);
	tap_ok(num_parse("123", 2, 99, &n) == 0 && n == 12, "no further than its length");
	tap_ok(num_parse("1\0002", 3, 999, &n) < 0, "a NUL byte");

	tap_ok(num_option("count", "2", 2, 10) == 2, "an option, the least");
	tap_ok(num_option("count", "10", 2, 10) == 10, "an option, the most");
	tap_dies(2, option, "1", "an option too small");
	tap_dies(2, option, "11", "an option too large");
	tap_dies(2, option, "", "an empty option");
	return tap_done();
}
