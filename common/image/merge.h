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

/*
 * Writes all images of the `n` archives `file` ("-": standard input) in their order. It
 * writes everything but the end-of-archive mark: first the layers, compared with their
 * diff_ids, then the documents.
 *
 *   - An image that several archives have is listed once, with the references of all.
 *   - If images have the same reference, the last one gets it, as in `docker load`. A
 *     warning names it.
 *   - A reference that no engine accepts is omitted, with a warning.
 *   - If an image exists for several platforms, `choice` selects one, see
 *     image_archive_open().
 *
 * If `reference` ("NAME:TAG") is not NULL, it replaces all references, and the archives
 * must have a single image.
 *
 * Returns 0, or -1 and a reason. After -1 the caller must not write an end-of-archive
 * mark.
 */
int merge_write(struct writer *w, char *const *file, size_t n,
		const struct image_choice *choice, const char *reference, struct err *e);

#endif
