/*
 * changes-private: the tar that the walk over an overlay writes.
 *
 *	changes_begin(&w);
 *	changes_put_member(&w, &st, NULL, false, NULL);
 *	result = changes_end(&w);
 *	changes_release(&w);
 *
 * Functions return -1 with the reason in w->e if they fail.
 */
#ifndef DT_CHANGES_PRIVATE_H
#define DT_CHANGES_PRIVATE_H

#include "base/buf.h"
#include "base/hardlinks.h"
#include "run/changes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct stat;

struct changes_writer {
	struct changes *p;
	char *block; /* not written yet */
	size_t len;
	uint64_t at;     /* position of `block` in the tar */
	struct buf path; /* of the current entry */
	struct buf header;
	struct hardlinks links; /* values are offsets in `paths` */
	struct buf paths;
	struct err *e;
};

/* Sets errno as the reason why the current entry cannot be read. Returns -1. */
int changes_failed(struct changes_writer *w);

void changes_begin(struct changes_writer *w);

/* Writes the header of the entry at w->path. `link` is the target of a link, or NULL. */
int changes_put_member(struct changes_writer *w, const struct stat *st, const char *link,
		       bool is_hardlink, const struct buf *xattrs);

/* Writes the contents of a file. It must not change. */
int changes_put_contents(struct changes_writer *w, int fd, const struct stat *st);

/* Writes the end-of-archive mark. */
int changes_end(struct changes_writer *w);
void changes_release(struct changes_writer *w);

#endif
