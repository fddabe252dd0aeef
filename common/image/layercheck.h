/*
 * layercheck: compare a layer with its diff_id while it is copied.
 *
 * An archive names a layer by its digest, and the name may be wrong. The functions hash
 * the bytes on their way, so the layer is not read twice:
 *
 *	layercheck_begin(&c);
 *	layercheck_see(&c, data, len);
 *	if (layercheck_end(&c, 0, diff_id, size, "stdin", 1, &e) < 0)
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
	uint64_t seen; /* bytes hashed so far */
};

void layercheck_begin(struct layercheck *c);

/*
 * Hashes the next bytes of the layer. `c` is a struct layercheck; the signature is that
 * of the callback in struct io_watch.
 */
void layercheck_see(void *c, const void *data, size_t len);

/*
 * Compares the digest of a layer of `size` bytes with its diff_id. Accepts the layer
 * without a comparison if fewer bytes were hashed, because the kernel copied the rest.
 * `result` is that of the copy: if it is -1, only returns it. Releases `c`. Returns 0, or
 * -1 and a message that names layer `number` of `what`.
 */
int layercheck_end(struct layercheck *c, int result, const char *diff_id, uint64_t size,
		   const char *what, size_t number, struct err *e);

#endif
