#include "image/layercheck.h"

#include "base/err.h"

#include <string.h>

void layercheck_begin(struct layercheck *c)
{
	*c = (struct layercheck){0};
	digest_init(&c->digest);
}

void layercheck_see(void *arg, const void *data, size_t len)
{
	struct layercheck *c = arg;

	digest_update(&c->digest, data, len);
	c->seen += len;
}

int layercheck_end(struct layercheck *c, int result, const char *diff_id, uint64_t size,
		   const char *what, size_t number, struct err *e)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(&c->digest, hex);
	digest_release(&c->digest);
	if (result < 0 || c->seen != size || digest_is_same(hex, diff_id))
		return result;
	return err_set(e, "%s: layer %zu has the digest %s, not its diff_id %s", what,
		       number, hex, diff_id);
}
