/*
 * dockerarchive: write an archive identical to that of skopeo(1), docker-archive:.
 *
 * nixpkgs' pullImage pins the digest of such an archive, so every byte matters. The
 * format is ustar as Go's archive/tar writes it. The entries are, in this order:
 *
 *   - each layer once, as HEX.tar;
 *   - the configuration, as HEX.json;
 *   - for each layer a directory of the legacy format, whose layer.tar is a symlink;
 *   - manifest.json;
 *   - repositories.
 *
 * All functions exit with status 1 if the archive cannot be written.
 *
 *	dockerarchive_init(&a, fd, false);
 *	dockerarchive_layer(&a, diff_id, layer, 0, size);
 *	if (dockerarchive_documents(&a, &image, &e) == 0)
 *		dockerarchive_end(&a);
 *
 * Specifications: Docker image specification v1 (legacy directories) and v1.2.
 */
#ifndef DT_DOCKERARCHIVE_H
#define DT_DOCKERARCHIVE_H

#include "base/digest.h"
#include "base/strset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;

/* An archive that is being written. */
struct dockerarchive {
	int fd;         /* the output; -1 if only the digest is wanted */
	bool is_hashed; /* `digest` is the digest of the archive */
	struct digest digest;
	struct strset layer; /* hex diff_ids of the written layers */
};

void dockerarchive_init(struct dockerarchive *a, int fd, bool is_hashed);
void dockerarchive_release(struct dockerarchive *a);

/* Writes a layer: `size` bytes of the file `layer` from `offset`. */
void dockerarchive_layer(struct dockerarchive *a, const char *diff_id, int layer,
			 off_t offset, uint64_t size);

/*
 * Writes a layer piece by piece: dockerarchive_begin(), dockerarchive_data() until it has
 * `size` bytes, dockerarchive_pad(). dockerarchive_begin() returns false, and nothing
 * must follow, if the archive has the layer already.
 */
bool dockerarchive_begin(struct dockerarchive *a, const char *diff_id, uint64_t size);
void dockerarchive_data(struct dockerarchive *a, const void *data, size_t len);
void dockerarchive_pad(struct dockerarchive *a, uint64_t size);

/* The contents of the documents. All layers must be written before. */
struct dockerarchive_image {
	const struct buf *config; /* the JSON text of its configuration */
	const char (*diff_id)[DIGEST_HEX + 1];
	size_t n;
	const char *name; /* in full: "docker.io/library/hello" */
	const char *tag;
};

/* Writes the documents. Returns 0, or -1 and the error in the configuration. */
int dockerarchive_documents(struct dockerarchive *a, const struct dockerarchive_image *im,
			    struct err *e);

/* The digest of the complete archive, including the end-of-archive mark that follows. */
void dockerarchive_hex(struct dockerarchive *a, char hex[DIGEST_HEX + 1]);

/* Writes the end-of-archive mark. */
void dockerarchive_end(struct dockerarchive *a);

#endif
