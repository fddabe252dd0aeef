/*
 * sizes: report where the bytes of an image are.
 *
 * The module adds up the sizes of the files in each layer: all of them, those of each
 * store path, and those of each directory at the root. It reads only the headers of a
 * layer's tar, one layer after the other, and keeps only the names of the sums:
 *
 *	json_t *sizes = sizes_of(&image, &e);
 *	if (sizes == NULL)
 *		die("%s", e.text);
 */
#ifndef DT_SIZES_H
#define DT_SIZES_H

#include "base/json.h"

struct err;
struct image;

/*
 * Returns a new object, as dt-inspect(1) describes it, or NULL and a reason. A layer that
 * the archive lacks is no error. Compressed layers are uncompressed into a temporary
 * file. Digests are not compared. The number and the length of names are bounded.
 */
json_t *sizes_of(const struct image *im, struct err *e);

#endif
