/*
 * fetch: download the documents and layers of an image into the cache.
 *
 * Everything with a digest is kept in the cache of blobs (blobs.h), and read from there
 * the next time. The caller gets only data with the right digest; a layer also has the
 * right diff_id. An interrupted download is continued, even by another process.
 *
 *	struct fetch f = {.cache = &cache, .registry = registry, .patience = 60};
 *	if (fetch_tagged(&f, "latest", &text, type, hex, &e) == 0)
 *		...
 *	result = fetch_layer(&f, &manifest.layer[i], diff_id, &layer, &e);
 */
#ifndef DT_FETCH_H
#define DT_FETCH_H

#include "base/digest.h"
#include "image/manifest.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct cache;
struct err;
struct registry;
struct spool;

struct fetch {
	const struct cache *cache;
	struct registry *registry;
	unsigned patience; /* seconds to wait for other processes: see blobs_begin() */
	/* Called from any thread when bytes have arrived; or NULL. */
	void (*came)(void *arg, size_t bytes);
	void *arg;
	struct spool *spool; /* for layers */
};

/* A layer: uncompressed, in the spool; or the blob, to be uncompressed by fetch_unpack().
 */
struct fetch_layer {
	int fd;
	off_t offset;
	uint64_t size;  /* of the uncompressed layer, in bytes */
	uint64_t came;  /* bytes that were downloaded for it */
	bool is_cached; /* nothing was downloaded for it */
	bool is_packed; /* `fd` is the compressed blob; fetch_unpack() closes it */
};

/*
 * Replaces `out` by the document with this digest, at most JSON_LIMIT bytes. `kind` is
 * "manifests" or "blobs". Sets `type`, a buffer of 128 bytes, to the media type in the
 * registry's response, or to "" if the document is from the cache. Returns 0, or -1 and a
 * reason.
 */
int fetch_document(const struct fetch *f, const char *kind, const char *hex,
		   struct buf *out, char *type, struct err *e);

/*
 * Downloads the manifest or index that currently has this tag. Sets `hex` to its digest.
 * Otherwise as fetch_document().
 */
int fetch_tagged(const struct fetch *f, const char *tag, struct buf *out, char *type,
		 char hex[DIGEST_HEX + 1], struct err *e);

/*
 * Downloads a layer and uncompresses it into the spool. Several threads may call
 * it at once for different blobs. Returns 0, or -1 and a reason.
 */
int fetch_layer(const struct fetch *f, const struct manifest_blob *b, const char *diff_id,
		struct fetch_layer *layer, struct err *e);

/*
 * Opens the blob of a layer if the cache has it, it is compressed, and its uncompressed
 * size is known from an earlier time. Returns whether it is open. The caller closes
 * layer->fd, or fetch_unpack() does.
 */
bool fetch_known(const struct fetch *f, const struct manifest_blob *b,
		 const char *diff_id, struct fetch_layer *layer);

/*
 * Compares the blob of fetch_known() with its digest. If it is wrong, fetch_layer() can
 * get the layer.
 */
bool fetch_is_right(const struct manifest_blob *b, const struct fetch_layer *layer);

/*
 * Uncompresses a layer of fetch_known(). Calls give() with each piece, as
 * unpack_inflate() does. Closes the blob. Returns 0, or -1 and a reason.
 */
int fetch_unpack(const struct fetch *f, const struct manifest_blob *b,
		 const struct fetch_layer *layer,
		 int (*give)(void *arg, const void *data, size_t len, struct err *e),
		 void *arg, struct err *e);

#endif
