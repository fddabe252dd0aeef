/*
 * pathinfo: what Nix registers of a store path, found in its files.
 */
#ifndef DT_PATHINFO_H
#define DT_PATHINFO_H

#include "base/digest.h"

#include <stdbool.h>
#include <stdint.h>

struct cache;
struct store;

struct pathinfo {
	char sha256[DIGEST_HEX + 1]; /* of its NAR */
	uint64_t size;               /* of its NAR, in bytes */
	bool refers_to_itself;       /* the NAR holds the path's own HASH */
};

/*
 * Finds it by reading all files of the store path `path`, or from the cache, whose key
 * is HASH and tree_digest(). May be called in several threads. Ends the process with a
 * message that names the file if that cannot be read or changes meanwhile.
 */
void pathinfo_find(struct pathinfo *r, const struct store *s, const char *path,
		   const struct cache *cache);

#endif
