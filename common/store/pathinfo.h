/*
 * pathinfo: compute what Nix registers about a store path: NAR hash, NAR size and
 * self-reference.
 *
 * A new Nix database in an image needs these facts, and a graph does not contain them.
 * Reading all files takes long, so results are kept in the cache.
 */
#ifndef DT_PATHINFO_H
#define DT_PATHINFO_H

#include "base/digest.h"

#include <stdbool.h>
#include <stdint.h>

struct cache;
struct store;

struct pathinfo {
	char sha256[DIGEST_HEX + 1]; /* SHA-256 of its NAR */
	uint64_t size;               /* size of its NAR in bytes */
	bool refers_to_itself;       /* the NAR contains the path's own HASH */
};

/*
 * Computes the facts by reading all files of the store path `path`, or takes them from
 * the cache. The key in the cache is made of HASH and tree_digest(). Several threads may
 * call it. Ends the process with a message that names the file if a file cannot be read
 * or keeps changing.
 */
void pathinfo_find(struct pathinfo *r, const struct store *s, const char *path,
		   const struct cache *cache);

#endif
