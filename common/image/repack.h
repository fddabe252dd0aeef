/*
 * repack: compress each layer of an image archive on its own.
 *
 * The layers of an image archive are uncompressed and named by their diff_ids, see
 * dt-image(5). In a registry, layers are compressed blobs, which are named by their own
 * digests. This module makes such blobs, and changes the manifests and the lists of
 * images. The configuration, and with it the image's ID, does not change:
 *
 *	struct writer w = {.fd = STDOUT_FILENO};
 *	struct repack r = {.out = &w, .format = COMPRESS_GZIP};
 *	if (repack_stream(&r, STDIN_FILENO, "stdin", &e) < 0)
 *		die("%s", e.text);
 *	writer_end(&w);
 *	repack_release(&r);
 *
 * The archive is read once, and the members keep their order. So a layer must precede the
 * manifests that list it, and a manifest must precede the lists of images. Each
 * compressed layer is first written to a temporary file, because its digest and size
 * precede it in the archive.
 */
#ifndef DT_REPACK_H
#define DT_REPACK_H

#include "archive/compress.h"
#include "base/strset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct writer;

struct repack_blob;

struct repack {
	/* Set by the caller. */
	struct writer *out;
	enum compress_format format; /* COMPRESS_GZIP or COMPRESS_ZSTD */
	int level;                   /* 0: the default of the format */
	uint64_t all;                /* bytes of the input, or 0 if unknown */
	/* Private. */
	const char *what;
	struct compress *compress; /* for one layer after the other */
	struct strset names;       /* hex digests of the blobs that were read */
	struct repack_blob *blob;
	size_t cap, layers;
	uint64_t bytes;          /* of layers, read */
	struct strset documents; /* names of the other members */
};

/*
 * Writes the image archive that is read from `fd`, without its end-of-archive mark.
 * `what` names the archive in messages. All blobs are compared with their digests. Blobs
 * that are not uncompressed layers stay as they are, so an archive may contain compressed
 * layers. A thin archive is an error.
 *
 * Returns 0, or -1 and a reason. After -1 the caller must not write an end-of-archive
 * mark. Exits with status 1 if the output cannot be written.
 */
int repack_stream(struct repack *r, int fd, const char *what, struct err *e);
void repack_release(struct repack *r);

#endif
