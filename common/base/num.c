#include "base/num.h"

#include "base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int num_parse(const char *s, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (len == 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		uint64_t digit = (uint64_t)(s[i] - '0');
		if (n > (UINT64_MAX - digit) / 10)
			return -1;
		n = n * 10 + digit;
	}
	if (n > max)
		return -1;
	*out = n;
	return 0;
}

uint64_t num_option(const char *name, const char *value, uint64_t min, uint64_t max)
{
	uint64_t n;

	if (num_parse(value, strlen(value), max, &n) < 0 || n < min)
		die_usage("--%s takes a number from %" PRIu64 " to %" PRIu64 ", not '%s'",
			  name, min, max, value);
	return n;
}

static const char letters[] = "KMGT";

uint64_t num_size_option(const char *name, const char *value)
{
	size_t len = strlen(value);
	const char *letter = len > 0 ? strchr(letters, value[len - 1]) : NULL;
	unsigned shift = letter != NULL ? (unsigned)(letter - letters + 1) * 10 : 0;
	uint64_t n;

	if (num_parse(value, len - (letter != NULL), UINT64_MAX >> shift, &n) < 0 ||
	    n == 0)
		die_usage(
		    "--%s takes a size in bytes, which K, M, G or T may follow, not "
		    "'%s'",
		    name, value);
	return n << shift;
}

void num_size_text(uint64_t size, char out[NUM_SIZE_TEXT])
{
	size_t at = 0;

	while (size > 0 && size % 1024 == 0 && letters[at] != '\0') {
		size /= 1024;
		at++;
	}
	snprintf(out, NUM_SIZE_TEXT, "%" PRIu64 "%.*s", size, at > 0,
		 at > 0 ? &letters[at - 1] : "");
}
