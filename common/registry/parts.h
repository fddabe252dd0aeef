/*
 * parts: what an image archive consists of, as a registry stores it.
 *
 * A registry stores manifests and blobs. The layers of an archive of dt-image(5) are
 * uncompressed; they become compressed blobs, and the manifest that names them changes.
 * Layers that the archive's manifest names as compressed blobs stay as they are.
 *
 *	if (parts_open(&p, &choice, &e) < 0)
 *		die("%s", e.text);
 *	for each p.blob: find or store it, set its hex and size
 *	parts_write(&p, COMPRESS_GZIP);
 *	for each p.part: store its text; then p.index, if p.is_index
 *
 * If an OCI layout has the image for several platforms and no option selected one, all of
 * them are parts of an index.
 */
#ifndef DT_PARTS_H
#define DT_PARTS_H

#include "archive/compress.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/strset.h"
#include "image/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum parts_kind {
	PARTS_LAYER,  /* an uncompressed layer, to be compressed */
	PARTS_BLOB,   /* a blob that is stored as the archive has it */
	PARTS_CONFIG, /* the configuration of an image */
};

struct parts_blob {
	enum parts_kind kind;
	const char *diff_id; /* hex; NULL if it is not a layer */
	/* Of the blob in the registry. "" and 0 for a layer that is not compressed yet.
	 */
	char hex[DIGEST_HEX + 1];
	uint64_t size;
	size_t part, layer;               /* the first place where it occurs, from 0 */
	const struct unpack_place *place; /* NULL: the archive does not have it */
	const struct buf *text;           /* of a configuration */
};

/* A manifest. */
struct part {
	struct image image; /* zeroed if it is not an image, but a document with blobs */
	json_t *manifest;   /* of the archive, or NULL */
	struct buf old;     /* its bytes */
	json_t *descriptor; /* in an index, borrowed; or NULL */
	size_t *layer, n;   /* for each layer its index in `blob` */
	size_t config;      /* index in `blob` */
	/* Set by parts_write(). */
	struct buf text;
	char type[128], hex[DIGEST_HEX + 1];
};

struct parts {
	struct image_archive archive;
	struct part *part;
	size_t n;
	struct parts_blob *blob; /* each once */
	struct strset names;     /* private: what identifies each blob */
	size_t cap;
	bool is_index;
	json_t *document; /* private: the archive's index, or NULL */
	struct buf old;   /* private: its bytes */
	json_t *leaves;   /* private: the descriptors of the parts of an index */
	struct buf index; /* set by parts_write() */
	char index_type[128], index_hex[DIGEST_HEX + 1];
};

/*
 * Opens the image that `choice` selects from choice->from, which must outlive `p`.
 * Returns 0, or -1 and a reason. The caller must release `p` in both cases.
 */
int parts_open(struct parts *p, const struct image_choice *choice, struct err *e);
void parts_release(struct parts *p);

/*
 * Writes the manifests and the index. All blobs must have `hex` and `size`. A document
 * whose blobs did not change keeps its bytes.
 */
void parts_write(struct parts *p, enum compress_format format);

#endif
