/*
 * fill: write the layers of an image whose documents exist already.
 *
 * The documents are copied from an image archive that dt-manifest wrote, which may be
 * thin. The layers come from the base image and from layer archives.
 * The result is the archive that dt-manifest would write of the same layers.
 *
 *	struct writer w = {.fd = STDOUT_FILENO};
 *	if (fill_image(&w, "thin.tar", &base, layers, n, &e) == 0)
 *		writer_end(&w);
 */
#ifndef DT_FILL_H
#define DT_FILL_H

#include <stddef.h>

struct err;
struct image_choice;
struct writer;

/*
 * Writes the layers of the image in the archive `file`, except those that writer_limit()
 * leaves out, and its documents. The layers are in the `n` files layers[]; "-" is
 * standard input. base->from is the base image, or NULL; it is opened only if one of its
 * layers must be written. Returns 0, or -1 and a reason. After -1 the caller must not
 * write an end-of-archive mark.
 */
int fill_image(struct writer *w, const char *file, const struct image_choice *base,
	       const char *const layers[], size_t n, struct err *e);

#endif
