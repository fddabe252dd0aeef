/*
 * merge: write the images of several archives into one archive.
 *
 * dt-merge uses it. Layers that several images share are stored once.
 */
#ifndef DT_MERGE_H
#define DT_MERGE_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct image_choice;
struct writer;

/* The references of the images. If the struct is zeroed, the images keep theirs. */
struct merge_naming {
	bool is_index; /* make one image of them, for several platforms: an OCI index */
	char *name;    /* the index's or the only image's, with `tag`; or NULL */
	const char *tag;
};

/*
 * Writes all images of the `n` archives `file` ("-": standard input) in their order. It
 * writes everything but the end-of-archive mark: first the layers, compared with their
 * diff_ids, then the documents.
 *
 *   - An image that several archives have is listed once, with the references of all.
 *   - If images have the same reference, the last one gets it, as in `docker load`. A
 *     warning names it.
 *   - An image keeps its configuration and the annotations of its manifest.
 *   - A reference that no engine accepts is omitted, with a warning.
 *   - If an image exists for several platforms, `choice` selects one, see
 *     image_archive_open().
 *
 * `naming` may give the images other references. If naming->is_index is set, each archive
 * must have one image, and the images must be for different platforms. index.json then
 * lists only an index of the images. manifest.json lists the image for the platform that
 * an option selected in `choice`, else the first image. A warning names each reference of
 * an image that the index does not have, unless naming->name is set.
 *
 * Returns 0, or -1 and a reason. After -1 the caller must not write an end-of-archive
 * mark.
 */
int merge_write(struct writer *w, char *const *file, size_t n,
		const struct image_choice *choice, const struct merge_naming *naming,
		struct err *e);

#endif
