/*
 * scan-private: what the cache remembers of a store path, for the parts of scan.
 */
#ifndef DT_SCAN_PRIVATE_H
#define DT_SCAN_PRIVATE_H

#include "base/digest.h"

#include <stdbool.h>
#include <stdint.h>

struct cache;
struct err;
struct strset;

/*
 * Computes the key in the cache of the store path `path`, which is at `where` on this
 * machine. The contents of a store path do not change while its top file stays the same.
 * Returns 0, or -1 and a reason.
 */
int scan_key(const char *path, const char *where, char key[DIGEST_HEX + 1],
	     struct err *e);

/* Sets the size of the path, and adds the hashes found in it. Returns false if unknown.
 */
bool scan_recall(const struct cache *cache, const char *key, uint64_t *size,
		 struct strset *found);

void scan_remember(const struct cache *cache, const char *key, uint64_t size,
		   const struct strset *found);

#endif
