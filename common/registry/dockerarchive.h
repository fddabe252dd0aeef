/*
 * dockerarchive: the archive that skopeo(1) writes to docker-archive:, byte for byte.
 *
 * nixpkgs' pullImage pins the digest of such an archive, so every byte counts. It is a
 * ustar as Go's archive/tar writes it. Its members are, in this order: each layer once,
 * as HEX.tar; the configuration, as HEX.json; for each layer a directory of the legacy
 * format (Docker image specification v1), whose layer.tar is a symlink; manifest.json;
 * repositories.
 */
#ifndef DT_DOCKERARCHIVE_H
#define DT_DOCKERARCHIVE_H

#include "base/digest.h"
#include "base/strset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

/* An archive that is being written. All functions end the process if that fails. */
struct dockerarchive {
	int fd;         /* where it goes; -1 if only its digest is wanted */
	bool is_summed; /* `sum` is the digest of all of it */
	struct digest sum;
	struct strset layer; /* hex diff_ids of the layers in it */
};

void dockerarchive_init(struct dockerarchive *a, int fd, bool is_summed);
void dockerarchive_release(struct dockerarchive *a);

/* Writes a layer: the first `size` bytes of the file `layer`. */
void dockerarchive_layer(struct dockerarchive *a, const char *diff_id, int layer,
			 uint64_t size);

/* What the documents say. All of its layers have been written before. */
struct dockerarchive_image {
	const struct buf *config; /* the JSON text of its configuration */
	const char (*diff_id)[DIGEST_HEX + 1];
	size_t n;
	const char *name; /* in full, "docker.io/library/hello" */
	const char *tag;
};

/* Writes the documents. Returns 0, or -1 and what is wrong with the configuration. */
int dockerarchive_documents(struct dockerarchive *a, const struct dockerarchive_image *im,
			    struct err *e);

/* The digest of the complete archive, with the end-of-archive mark that follows. */
void dockerarchive_hex(struct dockerarchive *a, char hex[DIGEST_HEX + 1]);

/* Writes the end-of-archive mark. */
void dockerarchive_end(struct dockerarchive *a);

#endif
