/*
 * record: the bytes of a layer tar in memory, from hashing to writing.
 *
 * A layer is hashed before it is written. A record holds the hashed bytes, so that small
 * files are read once. The contents of large files are not in it: they are read again.
 *
 *	struct record_budget budget = {16 << 20};
 *	struct record r = {0};
 *	record_begin(&r, &budget, size);
 *	record_bytes(&r, data, len);
 *	record_file(&r, tree, entry);
 *	if (record_is_complete(&r))
 *		sink_replay(&s, &r);
 *	record_release(&r);
 *
 * All records of a process share a budget. A record takes the bytes that it may need at
 * once, so that its memory need not grow. If it needs more, it becomes empty and is no
 * longer complete.
 */
#ifndef DT_RECORD_H
#define DT_RECORD_H

#include "base/buf.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree;

/* The bytes that records may still take. Threads may share it. */
struct record_budget {
	atomic_size_t left;
};

/* A large file, whose contents are read again. */
struct record_file {
	size_t at; /* number of recorded bytes before its contents */
	const struct tree *tree;
	uint32_t entry;
};

/* A zeroed struct is an empty record that is not complete. */
struct record {
	struct record_budget *budget; /* NULL: it is not complete, and empty */
	size_t size;                  /* bytes that it has taken from the budget */
	struct buf bytes;
	struct record_file *file;
	size_t n, cap;
};

/*
 * Makes an empty record complete, for `size` bytes at most. If the budget has less, the
 * record stays as it is.
 */
void record_begin(struct record *r, struct record_budget *budget, size_t size);

/* Whether all that was recorded since record_begin() is there. */
bool record_is_complete(const struct record *r);

void record_bytes(struct record *r, const void *data, size_t len);
void record_file(struct record *r, const struct tree *t, uint32_t entry);

/* Frees the record, and returns to the budget what it took. It is empty then. */
void record_release(struct record *r);

#endif
