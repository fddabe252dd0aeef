/*
 * hashindex: which store paths there are, by their hash parts.
 */
#ifndef DT_HASHINDEX_H
#define DT_HASHINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct store;

struct hashindex_entry {
	char *name;                   /* HASH-NAME */
	struct hashindex_entry *twin; /* another one with the same hash part, or NULL */
	bool leftover;
};

/* A zeroed struct is an empty table. */
struct hashindex {
	struct hashindex_entry *entry;
	size_t n, cap;
	struct hashindex_entry **slots; /* open addressing */
	size_t n_slots;                 /* a power of 2 */
	uint64_t *filter; /* bits, of which most are 0; see hashindex_may_have() */
	int filter_shift;
};

/*
 * Lists the store directory into the empty table `h`; lock files and the like are passed
 * over. Returns 0, or -1 and why not; in either case the caller releases it.
 */
int hashindex_list(struct hashindex *h, const struct store *store, struct err *e);
void hashindex_release(struct hashindex *h);

/*
 * False if no path has this hash part, which is STORE_HASH characters; true if one may
 * have it. Much faster than hashindex_find().
 */
bool hashindex_may_have(const struct hashindex *h, const char *hash);

/* The path with this hash part, or NULL. */
const struct hashindex_entry *hashindex_find(const struct hashindex *h, const char *hash);

#endif
