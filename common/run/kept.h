/*
 * kept: a large file in the cache, such as a kernel for the guest.
 *
 * The file is DIR/KIND/KEY.SUFFIX in the cache's directory. Its digest is a fact of the
 * cache with the same kind and key, so that a damaged file is not used.
 *
 *	kept_init(&kept, "kernel", key, "elf");
 *	fd = kept_open(&kept);
 *	if (fd < 0 && kept_begin(&kept, &draft) == 0)
 *		kept_end(&kept, &draft, io_write(draft.fd, data, len) == 0);
 *	kept_release(&kept);
 */
#ifndef DT_KEPT_H
#define DT_KEPT_H

#include "base/buf.h"
#include "base/cache.h"
#include "base/digest.h"

#include <stdbool.h>

struct draft;

struct kept {
	struct cache cache;
	const char *kind;
	char key[DIGEST_HEX + 1];
	struct buf path; /* empty: there is no cache */
};

/* `key` is a hex digest of everything that the file's contents depend on. */
void kept_init(struct kept *k, const char *kind, const char key[DIGEST_HEX + 1],
	       const char *suffix);
void kept_release(struct kept *k);

/* Returns a descriptor of the file, or -1 if it is missing or damaged. */
int kept_open(const struct kept *k);

/* The two parts of kept_open(), for a caller that does something else in between. */
int kept_find(const struct kept *k);
bool kept_is_valid(const struct kept *k, int fd);

/* Removes the file. */
void kept_remove(const struct kept *k);

/* Creates a draft of the file. Returns 0, or -1 if there is no cache or on an error. */
int kept_begin(const struct kept *k, struct draft *draft);

/* Completes the file, or removes the draft if `ok` is false. Errors are ignored. */
void kept_end(const struct kept *k, struct draft *draft, bool ok);

#endif
