/*
 * flat: an image of an archive, and the file tree that its layers make.
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
 * `verify`, their digests are found from now on, in other threads. Returns 0, or -1 and
 * why not; in either case the caller releases it.
 */
int flat_open(struct flat *m, const struct image_choice *choice, bool verify,
	      struct err *e);

/* Waits for the digests. Returns 0, or -1 and which is not that of its layer. */
int flat_check(struct flat *m, struct err *e);

/* A zeroed struct is a no-op. */
void flat_release(struct flat *m);

#endif
