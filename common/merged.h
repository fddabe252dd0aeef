/*
 * merged: an image of an archive, and the file tree that its layers make. Level 7.
 */
#ifndef DT_MERGED_H
#define DT_MERGED_H

#include "image.h"
#include "rootfs.h"

#include <stdbool.h>

struct err;

struct merged {
	struct image image;
	struct image_layers *layers; /* NULL: there is no image, only a tree */
	struct rootfs rootfs;
};

/*
 * Opens an image as image_open() does, and reads the headers of its layers. With
 * `verify`, their digests are found from now on, in other threads. Returns 0, or -1 and
 * why not; in either case the caller releases it.
 */
int merged_open(struct merged *m, const struct image_choice *choice, bool verify,
		struct err *e);

/* Waits for the digests. Returns 0, or -1 and which is not that of its layer. */
int merged_check(struct merged *m, struct err *e);

/* A zeroed struct is a no-op. */
void merged_release(struct merged *m);

#endif
