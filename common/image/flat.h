/*
 * flat: open an image and read the file tree that its layers make.
 *
 * It combines three steps that several tools need: open the image archive, uncompress the
 * layers on all cores, and apply the layers' headers to a `struct rootfs`. The digests
 * are checked while the caller works:
 *
 *	if (flat_open(&f, &choice, true, &e) < 0)
 *		die("%s", e.text);
 *	use(&f.rootfs);
 *	if (flat_check(&f, &e) < 0)
 *		die("%s", e.text);
 */
#ifndef DT_FLAT_H
#define DT_FLAT_H

#include "image/image.h"
#include "image/rootfs.h"

#include <stdbool.h>

struct err;

struct flat {
	struct image image;
	struct image_layers *layers; /* NULL: there is no image, only a tree */
	struct rootfs rootfs;
};

/*
 * Opens an image as image_open() does, and reads the headers of its layers. With
 * `verify`, other threads begin to compare the layers with their diff_ids. Returns 0, or
 * -1 and a reason. The caller must call flat_release() in both cases.
 */
int flat_open(struct flat *m, const struct image_choice *choice, bool verify,
	      struct err *e);

/* Waits until all digests are compared. Returns 0, or -1 and which layer differs. */
int flat_check(struct flat *m, struct err *e);

/* Does nothing to a zeroed struct. */
void flat_release(struct flat *m);

#endif
