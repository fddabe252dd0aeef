/*
 * sink: hash or write the bytes of a layer tar.
 *
 * A layer is first hashed and later written. Both use the same calls, so both see the
 * same bytes:
 *
 *	sink_init(&s, -1);                    -1: hash; a descriptor: write
 *	sink_run(&s, produce, arg, true);     produce() calls sink_header() ...
 *	digest_hex(&s.digest, hex);
 *	sink_release(&s);
 *
 * The kernel writes large files without a copy in user space. Each file is checked before
 * and after it is read. If its size, type or mtime differs from the scan of the tree, the
 * process ends with a message that names the file.
 */
#ifndef DT_SINK_H
#define DT_SINK_H

#include "base/buf.h"
#include "base/digest.h"
#include "tree/tree.h"

#include <stdbool.h>
#include <stdint.h>

struct progress_task;
struct record;
struct ring;
struct tar_member;

/* An entry of a tree. There is no entry if `tree` is NULL. */
struct sink_entry {
	const struct tree *tree;
	uint32_t entry;
};

/*
 * A piece of a layer: bytes, followed by the contents of a file if `fd` is not -1. The
 * consumer of the piece reads and closes the file.
 */
struct sink_piece {
	struct buf bytes;
	int fd;
	off_t offset;           /* offset of the contents in `fd` */
	struct sink_entry file; /* entry of the file */
	/* A file in this piece for which tree_is_touched() is true. */
	struct sink_entry touched;
};

/*
 * The contents of files from this size on, in bytes, are not copied to user space:
 * reading smaller files is faster than splice(2).
 */
enum { SINK_LARGE = 64 << 10 };

/* The steps of a progress task. */
enum { SINK_HASH, SINK_WRITE };

struct sink {
	int fd;                     /* output, or -1 to hash the bytes */
	struct progress_task *task; /* counts the bytes; set after sink_init(), or NULL */
	struct digest digest;       /* used if `fd` is -1 */
	struct record *record;      /* gets the hashed bytes, or NULL */
	uint64_t total;             /* bytes so far */
	/* A file for which tree_is_touched() is true, if there is one. */
	struct sink_entry touched;
	struct sink_piece *piece; /* the piece that is being filled */
	struct sink_piece own;    /* the only piece if there is no `ring` */
	struct ring *ring;        /* queue to the thread that hashes or writes, or NULL */
};

void sink_init(struct sink *s, int fd);
void sink_release(struct sink *s);

/*
 * Calls produce(arg, s), which calls the functions below. Returns when all bytes are
 * hashed or written. If `in_thread` is true, produce() runs in its own thread and reads
 * files there, while this thread hashes or writes.
 */
void sink_run(struct sink *s, void (*produce)(void *arg, struct sink *s), void *arg,
	      bool in_thread);

/* Hashes or writes the bytes that are still buffered. Only needed without sink_run(). */
void sink_end(struct sink *s);

/* Adds the headers of a member. */
void sink_header(struct sink *s, const struct tar_member *m);

/* Adds the contents of the regular file `i` of the tree, padded to complete blocks. */
void sink_file(struct sink *s, struct tree_reader *r, const struct tree *t, uint32_t i);

/*
 * Adds `size` bytes of `fd` from `offset`, padded to complete blocks. Must not be used
 * with `in_thread`. If there are fewer bytes, the process ends with a message that names
 * them `name`.
 */
void sink_span(struct sink *s, int fd, off_t offset, uint64_t size, const char *name);

void sink_zeroes(struct sink *s, size_t n);

/* Writes the bytes of the record. Large files are read and checked again. */
void sink_replay(struct sink *s, const struct record *r);

#endif
