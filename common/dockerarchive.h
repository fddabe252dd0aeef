/*
 * dockerarchive: the archive that skopeo(1) writes to docker-archive:, byte for byte.
 * Level 6.
 *
 * nixpkgs' pullImage pins the digest of such an archive. It is a ustar as Go's
 * archive/tar writes it: the layers as HEX.tar, each once; the configuration as HEX.json;
 * for each layer a folder of the legacy format (Docker image specification v1), whose
 * layer.tar is a link; manifest.json; and repositories.
 */
#ifndef DT_DOCKERARCHIVE_H
#define DT_DOCKERARCHIVE_H

#include "digest.h"
#include "names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

/* An archive in the making. All functions end the process if it cannot be written. */
struct dockerarchive {
	int fd;         /* where it goes, or -1: only its digest is asked for */
	bool is_summed; /* `sum` is the digest of all of it */
	struct digest sum;
	struct names layer; /* hex diff_ids of the layers in it */
};

void dockerarchive_init(struct dockerarchive *a, int fd, bool is_summed);
void dockerarchive_release(struct dockerarchive *a);

/* Writes the layer, `size` bytes that begin at the beginning of the file `layer`. */
void dockerarchive_layer(struct dockerarchive *a, const char *diff_id, int layer,
			 uint64_t size);

/* What the documents say, all layers of which are written. */
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

/* The digest of the whole archive, its end included, which has not been written yet. */
void dockerarchive_hex(struct dockerarchive *a, char hex[DIGEST_HEX + 1]);

/* Writes the end-of-archive mark. */
void dockerarchive_end(struct dockerarchive *a);

#endif
