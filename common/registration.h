/*
 * registration: what Nix registers of a store path, found in its files. Level 6.
 */
#ifndef DT_REGISTRATION_H
#define DT_REGISTRATION_H

#include "digest.h"

#include <stdbool.h>
#include <stdint.h>

struct cache;
struct store;

struct registration {
	char sha256[DIGEST_HEX + 1]; /* of its NAR */
	uint64_t size;               /* of its NAR, in bytes */
	bool refers_to_itself;       /* the NAR holds the path's own HASH */
};

/*
 * Finds it by reading all files of the store path `path`, or from the cache, whose key
 * is HASH and tree_digest(). May be called in several threads. Ends the process with a
 * message that names the file if that cannot be read or changes meanwhile.
 */
void registration_find(struct registration *r, const struct store *s, const char *path,
		       const struct cache *cache);

#endif
