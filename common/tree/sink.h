/*
 * sink: where the bytes of a layer tar go.
 *
 * They are hashed, to find the layer's diff_id, or written; in both cases they are the
 * same bytes, made by the same calls. Large files are written by the kernel, without a
 * copy in user space. A file whose size, type or mtime is not what it was when its tree
 * was scanned ends the process with a message that names it. Files are looked at before
 * and after they are read.
 */
#ifndef DT_SINK_H
#define DT_SINK_H

#include "base/buf.h"
#include "base/digest.h"
#include "tree/tree.h"

#include <stdbool.h>
#include <stdint.h>

struct ring;
struct tar_member;

/* An entry of a tree; none if `tree` is NULL. */
struct sink_entry {
	const struct tree *tree;
	uint32_t entry;
};

/*
 * A piece of a layer: bytes, and behind them the contents of a file, if `fd` is not -1,
 * which are left to the one who writes the piece.
 */
struct piece {
	struct buf bytes;
	int fd;
	off_t offset;              /* where they begin in it */
	struct sink_entry file;    /* which one it is */
	struct sink_entry touched; /* a file in this piece that was touched */
};

struct sink {
	int fd;               /* what is written to, or -1: the bytes are hashed */
	struct digest digest; /* in the latter case */
	uint64_t total;       /* bytes so far */
	struct sink_entry
	    touched;         /* a file for which tree_is_touched(), if there is one */
	struct piece *piece; /* the one that is being made */
	struct piece own;    /* without a relay, always the same one */
	struct ring *relay;  /* to the thread that hashes or writes, or NULL */
};

void sink_init(struct sink *s, int fd);
void sink_release(struct sink *s);

/*
 * Calls produce(arg, s), which calls the functions below, and sees to it that all of it
 * is hashed or written before it returns. With `in_thread`, produce() runs in a thread
 * of its own, and files are read in it while this thread hashes or writes.
 */
void sink_run(struct sink *s, void (*produce)(void *arg, struct sink *s), void *arg,
	      bool in_thread);

/* Hashes or writes what is still held back, where there is no sink_run(). */
void sink_end(struct sink *s);

/* A member's headers. */
void sink_header(struct sink *s, const struct tar_member *m);

/* The contents of the regular file `i` of the tree, padded to whole blocks. */
void sink_file(struct sink *s, struct tree_reader *r, const struct tree *t, uint32_t i);

/*
 * `size` bytes of `fd` from `offset` on, padded to whole blocks. Not with `in_thread`. If
 * there are fewer, the process ends with a message that calls them `name`.
 */
void sink_span(struct sink *s, int fd, off_t offset, uint64_t size, const char *name);

void sink_zeroes(struct sink *s, size_t n);

#endif
