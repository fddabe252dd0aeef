/*
 * fetch: the documents and layers of an image, downloaded once and verified.
 *
 * Everything that has a digest is kept in the cache's directory of blobs, and taken from
 * there the next time. The caller sees only bytes of the right digest; a layer has the
 * right diff_id, too. A download that was interrupted, in this process or another one,
 * continues where it stopped.
 */
#ifndef DT_FETCH_H
#define DT_FETCH_H

#include "base/digest.h"
#include "image/manifest.h"

#include <pthread.h>
#include <stdint.h>

struct buf;
struct cache;
struct err;
struct registry;

struct fetch {
	const struct cache *cache;
	struct registry *registry;
	unsigned patience; /* seconds, with other processes: see blobs_begin() */
	/* Called by any thread when bytes came; or NULL. */
	void (*came)(void *arg, size_t bytes);
	void *arg;
};

/* An uncompressed layer; the caller closes `fd`. */
struct fetch_layer {
	int fd;
	uint64_t size;
	bool is_cached; /* nothing was downloaded for it */
};

/*
 * Replaces `out` by the document of this digest, at most JSON_LIMIT bytes; `kind` is
 * "manifests" or "blobs". Sets `type`, of 128 bytes, to its media type in the registry's
 * answer, or to "" if it came from the cache. Returns 0, or -1 and why not.
 */
int fetch_document(const struct fetch *f, const char *kind, const char *hex,
		   struct buf *out, char *type, struct err *e);

/* The same for the manifest or index that has this tag now; sets `hex` to its digest. */
int fetch_tagged(const struct fetch *f, const char *tag, struct buf *out, char *type,
		 char hex[DIGEST_HEX + 1], struct err *e);

/*
 * Downloads a layer and uncompresses it into a temporary file. Several threads may call
 * it at once, for different blobs. Returns 0, or -1 and why not.
 */
int fetch_layer(const struct fetch *f, const struct manifest_blob *b, const char *diff_id,
		struct fetch_layer *layer, struct err *e);

#endif
