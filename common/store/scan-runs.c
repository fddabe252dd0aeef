#include "store/scan.h"

#include "store/store.h"

#include <stdbool.h>

static const bool in_hash[256] = {
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1,
    ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1, ['a'] = 1, ['b'] = 1,
    ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1,
    ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1,
    ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1,
    ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1,
};

/*
 * Tests each window of STORE_HASH characters from its end. At a character that cannot be
 * in a hash, the search continues after this character, so most bytes are never examined.
 * No byte is examined twice: the bytes from p to `good` are known to be hash characters.
 */
void scan_runs(const char *text, size_t len,
	       void (*found)(void *arg, const char *run, size_t len), void *arg)
{
	const char *p = text, *good = text, *end = text + len;

	while (end - p >= STORE_HASH) {
		const char *q = p + STORE_HASH;
		while (q > good && in_hash[(unsigned char)q[-1]])
			q--;
		bool whole = q == good;
		good = p + STORE_HASH;
		if (!whole) {
			p = q;
			continue;
		}
		while (good < end && in_hash[(unsigned char)*good])
			good++;
		found(arg, p, (size_t)(good - p));
		p = good;
	}
}
