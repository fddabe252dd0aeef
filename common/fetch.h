/*
 * fetch: the documents and layers of an image, downloaded once and verified. Level 8.
 *
 * What has a digest is kept in the cache's folder of blobs and taken from there the next
 * time. It is compared with its digest before anybody sees it, a layer with its diff_id,
 * too. Parts that were left, by this process or another one, are gone on with.
 */
#ifndef DT_FETCH_H
#define DT_FETCH_H

#include "digest.h"
#include "manifest.h"

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
 * Appends the document of this digest, of KIND "manifests" or "blobs", of at most
 * JSON_LIMIT bytes. Sets `type`, of 128 bytes, to the media type it came with, or "" if
 * that is not known any more. Returns 0, or -1 and why not.
 */
int fetch_document(const struct fetch *f, const char *kind, const char *hex,
		   struct buf *out, char *type, struct err *e);

/* The manifest or index that has this tag now, likewise, and its digest. */
int fetch_tagged(const struct fetch *f, const char *tag, struct buf *out, char *type,
		 char hex[DIGEST_HEX + 1], struct err *e);

/*
 * Uncompresses a layer into a temporary file, unless it is plain. May be called in
 * several threads at once, for different blobs. Returns 0, or -1 and why not.
 */
int fetch_layer(const struct fetch *f, const struct manifest_blob *b, const char *diff_id,
		struct fetch_layer *layer, struct err *e);

#endif
