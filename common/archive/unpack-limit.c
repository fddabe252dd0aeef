#include "archive/unpack.h"

#include "base/err.h"
#include "base/num.h"

#include <stdatomic.h>

/* Images with large models unpack to some tens of GiB. */
static uint64_t limit = (uint64_t)256 << 30;
static _Atomic uint64_t unpacked;

void unpack_limit(uint64_t bytes)
{
	limit = bytes;
	unpacked = 0;
}

int unpack_charge(uint64_t bytes, const char *what, struct err *e)
{
	char text[NUM_SIZE_TEXT];

	/* Both are at most the limit, so their sum does not overflow. */
	if (bytes <= limit && unpacked <= limit) {
		uint64_t before = atomic_fetch_add(&unpacked, bytes);
		if (before <= limit - bytes)
			return 0;
	}
	num_size_text(limit, text);
	return err_set(e,
		       "%s: more than %s to unpack in all; --max-unpacked sets the limit",
		       what, text);
}
