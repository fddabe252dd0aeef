/*
 * layercheck: whether a layer that passes by has the digest that it is named by.
 *
 *	struct layercheck c;
 *	layercheck_begin(&c);
 *	layercheck_see(&c, data, len);
 *	if (layercheck_end(&c, diff_id, size, "stdin", 1, &e) < 0)
 *		...
 */
#ifndef DT_LAYERCHECK_H
#define DT_LAYERCHECK_H

#include "base/digest.h"

#include <stddef.h>
#include <stdint.h>

struct err;

struct layercheck {
	struct digest digest;
	uint64_t seen; /* bytes */
};

void layercheck_begin(struct layercheck *c);

/* The next bytes of the layer; `c` is a struct layercheck. Fits a struct io_watch. */
void layercheck_see(void *c, const void *data, size_t len);

/*
 * Compares the digest of a layer of `size` bytes with its diff_id, if all of its bytes
 * were seen. Returns 0, or -1 and a message that calls it layer `number` of `what`. In
 * either case nothing of `c` is left to release.
 */
int layercheck_end(struct layercheck *c, const char *diff_id, uint64_t size,
		   const char *what, size_t number, struct err *e);

#endif
