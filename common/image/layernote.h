/*
 * layernote: the metadata of a layer in a layer archive.
 *
 * Each layer is an entry of the archive with a pax record `comment`. The text of the
 * record is a line of JSON, see dt-image(5):
 *
 *     {"diff_id":"sha256:HEX","history":{"comment":"store paths: [...]"}}
 *
 * The record marks the entry as a layer and carries its entry of the image's history. tar
 * programs ignore this keyword. The record belongs to the entry, so it survives cat(1).
 *
 * A stub is an empty entry in place of a layer. It is named absent/sha256/HEX, and its
 * note has the size of the layer in bytes as "size".
 *
 * Specification: POSIX.1-2017, pax, "pax Extended Header", keyword `comment`.
 */
#ifndef DT_LAYERNOTE_H
#define DT_LAYERNOTE_H

#include "base/digest.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct err;
struct unpack_member;

/*
 * Appends the pax record to `records`. `comment` is for the history; it may be empty and
 * must be UTF-8, or the process exits with status 1. A comment of almost 1 MiB or more is
 * omitted, because it is too long for a tar header.
 */
void layernote_write(struct buf *records, const char *diff_id, const char *comment);

/* Does the same for a stub of a layer of `size` bytes. */
void layernote_write_stub(struct buf *records, const char *diff_id, uint64_t size,
			  const char *comment);

struct layernote {
	char diff_id[DIGEST_HEX + 1];
	char *comment; /* "" if there is none; owned */
	bool is_stub;
	uint64_t size; /* of the layer that the stub stands for; else 0 */
};

/*
 * Reads the note of an entry, in the current form or as the records DT.diff_id and
 * DT.comment of former versions.
 *
 * Returns 1; 0 if the entry is not a layer; or -1 and a reason if the note is invalid or
 * the entry's name has another digest. The caller must release `n` in all cases.
 */
int layernote_read(struct layernote *n, const struct unpack_member *m, struct err *e);
void layernote_release(struct layernote *n);

#endif
