/*
 * merge: all images of several archives, in one.
 */
#ifndef DT_MERGE_H
#define DT_MERGE_H

#include <stddef.h>

struct err;
struct image_choice;
struct writer;

/*
 * Writes the images of the `n` archives `file` ("-": standard input) in their order, all
 * but the end of the archive: first the layers, each once and compared with its diff_id,
 * then the documents. An image that comes up again is listed once, with the names of
 * both. Of images of the same name and tag the last one gets it, as in `docker load`,
 * which is warned of; so is a name that no engine takes, which is left out. Of several
 * platforms, the one of the choice is taken, see image_archive_open(). Returns 0, or -1
 * and why not.
 */
int merge_write(struct writer *w, char *const *file, size_t n,
		const struct image_choice *choice, struct err *e);

#endif
