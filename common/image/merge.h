/*
 * merge: write the images of several archives into one archive.
 *
 * dt-merge uses it. Layers that several images share are stored once.
 */
#ifndef DT_MERGE_H
#define DT_MERGE_H

#include <stddef.h>

struct err;
struct image_choice;
struct writer;

/* Makes one image for several platforms of all images: an OCI index. */
struct merge_index {
	char
	    *name; /* with `tag`, the index's reference; NULL: those of the first image */
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
 * If `index` is not NULL, each archive must have one image, for another platform than all
 * others. index.json lists one index of them. manifest.json lists the image for the
 * platform that an option selected in `choice`, else the first. A warning names each
 * reference of an image that the index does not have, unless index->name is set.
 *
 * Returns 0, or -1 and a reason. After -1 the caller must not write an end-of-archive
 * mark.
 */
int merge_write(struct writer *w, char *const *file, size_t n,
		const struct image_choice *choice, const struct merge_index *index,
		struct err *e);

#endif
