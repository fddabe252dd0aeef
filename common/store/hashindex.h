/*
 * hashindex: find the paths of a store by their hash parts.
 *
 * The scan for references tests every run of 32 hash characters in a file. A small bit
 * filter rejects most of them before the hash table is searched:
 *
 *	if (hashindex_may_have(&h, hash))
 *		entry = hashindex_find(&h, hash);
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
	struct hashindex_entry *twin; /* another path with the same hash part, or NULL */
	bool leftover;                /* a temporary file of Nix next to a path */
};

/* A zeroed struct is an empty table. */
struct hashindex {
	struct hashindex_entry *entry;
	size_t n, cap;
	struct hashindex_entry **slots; /* hash table with open addressing */
	size_t n_slots;                 /* a power of 2 */
	uint64_t *filter; /* bit filter for hashindex_may_have(), mostly 0 */
	int filter_shift;
};

/*
 * Reads the store directory into the empty table `h`. Lock files and other temporary
 * files of Nix are ignored. Returns 0, or -1 with the reason in `e`. The caller releases
 * `h` in both cases.
 */
int hashindex_list(struct hashindex *h, const struct store *store, struct err *e);
void hashindex_release(struct hashindex *h);

/*
 * Returns false if no path has this hash part, which has STORE_HASH characters. Returns
 * true if a path may have it. Much faster than hashindex_find().
 */
bool hashindex_may_have(const struct hashindex *h, const char *hash);

/* Returns the path with this hash part, or NULL. */
const struct hashindex_entry *hashindex_find(const struct hashindex *h, const char *hash);

#endif
