/*
 * unpack-private: a stream, for the parts of unpack.
 *
 * unpack-stream.c reads the members, unpack-headers.c what libarchive does not report of
 * their headers, unpack-contents.c their contents, and unpack-attributes.c their
 * metadata.
 */
#ifndef DT_UNPACK_PRIVATE_H
#define DT_UNPACK_PRIVATE_H

#include "archive/tar.h"
#include "archive/unpack.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct archive;
struct archive_entry;

enum { UNPACK_WINDOW = 64 * 1024 };

/* The part of a file that contains a layer. */
struct unpack_span {
	off_t at, end;
	off_t window; /* offset of `data` in the file */
	size_t held;  /* number of bytes in `data` */
	char data[UNPACK_WINDOW];
};

/*
 * libarchive gets only the headers, block by block. Contents go from the descriptor to
 * the caller without passing through libarchive, which treats them as skipped.
 */
struct unpack_stream {
	struct archive *archive;
	struct archive_entry *entry; /* of the current member */
	struct unpack_member member;
	int fd;
	const char *what;
	struct unpack_span *span; /* place of a layer; NULL: fd is read to its end */
	bool needs_end;           /* an end-of-archive marker is required */
	uint64_t left;            /* contents of the member not yet read from fd */
	uint64_t taken;           /* contents read, not yet reported to libarchive */
	bool is_sparse;           /* libarchive must read the member's contents */
	bool is_expanding;        /* libarchive is reading contents */
	int error;                /* errno of a failed read, or 0 */
	int (*tee)(void *arg, const void *data, size_t len, struct err *e);
	void *tee_arg;
	bool tee_failed; /* tee() failed; the reason is in `why` */
	struct err why;
	struct buf headers; /* blocks since the contents of the last member */
	char block[TAR_BLOCK];
};

/* The reason why libarchive failed. */
const char *unpack_reason(struct archive *a);

/*
 * Returns whether reading or tee() failed, and the reason. libarchive treats both as the
 * end of the input.
 */
bool unpack_failed(const struct unpack_stream *s, struct err *e);

/* --- the blocks since the last contents, which have the headers of the member --- */

bool unpack_is_zero(const char *p, size_t len);

/*
 * Finds the pax records of the member and checks all records before it. m->name may be
 * NULL. Returns 0, or -1 and a reason.
 */
int unpack_find_records(const struct unpack_stream *s, struct unpack_member *m,
			struct err *e);

/* Returns the member's own header, or NULL. */
const char *unpack_own_header(const struct unpack_stream *s);

/*
 * Returns whether the archive stores a file in pieces, so that the stored size differs
 * from the size of the file.
 */
bool unpack_is_sparse(const struct unpack_stream *s);

#endif
