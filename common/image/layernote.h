/*
 * layernote: what a layer archive tells of each layer besides its bytes.
 *
 * A layer's member in the archive has a pax record `comment`, which tar programs ignore.
 * Its text is one line of JSON, see dt-image(5):
 *
 *     {"diff_id":"sha256:HEX","history":{"comment":"store paths: [...]"}}
 *
 * It makes the member a layer, and not another blob, and carries the layer's entry of
 * the image's history. It belongs to the member, so it survives cat(1).
 */
#ifndef DT_LAYERNOTE_H
#define DT_LAYERNOTE_H

#include "base/digest.h"
#include "base/json.h"

struct buf;
struct err;
struct unpack_member;

/*
 * Appends the pax record. `comment` is for the history and may be empty. Ends the process
 * if it is not UTF-8. A comment of almost 1 MiB or more, which is too long for a tar
 * header, is left out.
 */
void layernote_write(struct buf *records, const char *diff_id, const char *comment,
		     size_t len);

struct layernote {
	char diff_id[DIGEST_HEX + 1];
	char *comment; /* "" if there is none; owned */
};

/*
 * Reads the note of a member, in this form or in that of former versions: two records
 * DT.diff_id and DT.comment. Returns 1; 0 if the member is no layer; -1 and why if the
 * note is wrong or belongs to a member of another name. The caller releases it in any
 * case.
 */
int layernote_read(struct layernote *n, const struct unpack_member *m, struct err *e);
void layernote_release(struct layernote *n);

#endif
