/*
 * sizes: report where the bytes of an image are.
 *
 * The module adds up the sizes of the files in each layer: all of them, those of each
 * store path, and those of each directory at the root. It reads only the headers of a
 * layer's tar, one layer after the other, and keeps only the names of the sums:
 *
 *	if (sizes_write(&image, &out, &e) < 0)
 *		die("%s", e.text);
 */
#ifndef DT_SIZES_H
#define DT_SIZES_H

struct buf;
struct err;
struct image;

/*
 * Appends a JSON object, as dt-inspect(1) describes it. A layer that the archive lacks is
 * no error. Compressed layers are uncompressed into a temporary file. Digests are not
 * compared. The number and the length of names are bounded. Returns 0, or -1 and a
 * reason.
 */
int sizes_write(const struct image *im, struct buf *out, struct err *e);

#endif
