/*
 * hashes: which store paths there are, by their hash parts. Level 5.
 */
#ifndef DT_HASHES_H
#define DT_HASHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct store;

struct hashes_entry {
	char *name;                /* HASH-NAME */
	struct hashes_entry *twin; /* another one with the same hash part, or NULL */
	bool leftover;
};

/* A zeroed struct is an empty table. */
struct hashes {
	struct hashes_entry *entry;
	size_t n, cap;
	struct hashes_entry **slots; /* open addressing */
	size_t n_slots;              /* a power of 2 */
	uint64_t *filter; /* bits, of which most are 0; see hashes_may_have() */
	int filter_shift;
};

/*
 * Lists the store folder into the empty table `h`; lock files and the like are passed
 * over. Returns 0, or -1 and why not; in either case the caller releases it.
 */
int hashes_list(struct hashes *h, const struct store *store, struct err *e);
void hashes_release(struct hashes *h);

/*
 * False if no path has this hash part, which is STORE_HASH characters; true if one may
 * have it. Much faster than hashes_find().
 */
bool hashes_may_have(const struct hashes *h, const char *hash);

/* The path with this hash part, or NULL. */
const struct hashes_entry *hashes_find(const struct hashes *h, const char *hash);

#endif
