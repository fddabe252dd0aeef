/*
 * stubs: the digests of layers, from a layer archive of the same plan.
 *
 * A machine that has a plan and its digests need not read the store to write stubs:
 *
 *	stubs_read(&s, "stubs.tar", &e);
 *	stubs_use(&s, i, comment, &layer, &e);
 *	writer_layer(&w, &layer, comment);
 *	stubs_release(&s);
 */
#ifndef DT_STUBS_H
#define DT_STUBS_H

#include <stddef.h>

struct err;
struct layer;
struct layernote;

/* The notes of all layers and stubs of an archive, in its order. */
struct stubs {
	const char *file; /* for messages; not copied */
	struct layernote *note;
	size_t n, cap;
};

/*
 * Reads a layer archive. Returns 0, or -1 and a reason. The caller must release `s` in
 * both cases.
 */
int stubs_read(struct stubs *s, const char *file, struct err *e);
void stubs_release(struct stubs *s);

/*
 * Sets the diff_id and the size of a layer that was not measured to those of note `i`,
 * counted from 0. If the layer was measured, compares its diff_id with that of the note.
 * `comment` is the comment of the layer, which must be equal to that of the note. Returns
 * 0, or -1 and a reason.
 */
int stubs_use(const struct stubs *s, size_t i, const char *comment, struct layer *l,
	      struct err *e);

#endif
