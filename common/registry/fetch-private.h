/*
 * fetch-private: blobs, for the parts of fetch.
 */
#ifndef DT_FETCH_PRIVATE_H
#define DT_FETCH_PRIVATE_H

#include "base/digest.h"
#include "registry/blobs.h"
#include "registry/fetch.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct progress_task;

/* A blob that is being downloaded. */
struct incoming {
	const struct fetch *f;
	const struct manifest_blob *b; /* its size is UINT64_MAX if unknown */
	const char *kind;              /* "manifests" or "blobs" */
	uint64_t limit;                /* in bytes */
	char *type;                    /* receives the media type; or NULL */
	struct progress_task *task;    /* shows the download; or NULL */
	uint64_t came;                 /* bytes that were downloaded */
	struct blobs_part part;
	struct digest digest; /* of the contents of the part */
};

/* The steps of getting a layer, as struct progress_task has them. */
enum { FETCH_DOWNLOAD, FETCH_UNPACK };

/*
 * Opens the blob: from the cache, or downloaded and verified. Sets *is_cached
 * accordingly. Returns a descriptor, or -1 and a reason.
 */
int fetch_open(struct incoming *in, bool *is_cached, struct err *e);

/*
 * Adds the file's contents to the digest, and leaves its position at the end. Returns its
 * size, or -1.
 */
int64_t fetch_hash(struct digest *digest, int fd, struct err *e);

#endif
