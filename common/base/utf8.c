#include "base/utf8.h"

/*
 * Returns the length of the valid multibyte character at `s`, and sets *c. At most `len`
 * bytes are read. Returns 0 if the bytes are not valid.
 */
static size_t sequence(const unsigned char *s, size_t len, uint32_t *c)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] >= 0xf0 && s[0] < 0xf5   ? 4
		   : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
		   : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
						 : 0;

	if (n == 0 || n > len)
		return 0;
	*c = s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (s[i] & 0x3f);
	}
	bool is_surrogate = *c >= 0xd800 && *c < 0xe000;
	return *c < least[n] || *c > 0x10ffff || is_surrogate ? 0 : n;
}

uint32_t utf8_next(const char **p)
{
	const unsigned char *s = (const unsigned char *)*p;
	uint32_t c = s[0];
	/*
	 * The length need not be known: a NUL is no continuation byte, so sequence()
	 * stops there.
	 */
	size_t n = c < 0x80 ? 1 : sequence(s, SIZE_MAX, &c);

	if (n == 0) {
		c = 0xdc00 + s[0];
		n = 1;
	}
	*p += n;
	return c;
}

bool utf8_is_valid(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	uint32_t c;

	for (size_t at = 0, n; at < len; at += n) {
		n = s[at] < 0x80 ? 1 : sequence(s + at, len - at, &c);
		if (n == 0)
			return false;
	}
	return true;
}

int utf8_compare(const char *a, const char *b)
{
	while (*a != '\0' && *b != '\0') {
		uint32_t x = utf8_next(&a), y = utf8_next(&b);
		if (x != y)
			return x < y ? -1 : 1;
	}
	return (*a != '\0') - (*b != '\0');
}
