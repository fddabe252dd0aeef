/*
 * pairs: which compressed blob holds a given layer.
 *
 * A layer is named by the digest of its uncompressed tar, the diff_id. A registry names
 * it by the digest of the compressed blob. The manifest of an image lists the blobs, and
 * the configuration lists the diff_ids in the same order:
 *
 *	pairs_add(&p, &manifest, config, PAIRS_IN_TAG);
 *	blob = pairs_find(&p, diff_id, COMPRESS_GZIP);
 *
 * The documents are untrusted input. If they are not those of an image, or do not match
 * each other, they are ignored.
 */
#ifndef DT_PAIRS_H
#define DT_PAIRS_H

#include "archive/compress.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/strset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct manifest;

/* Where a blob is. The tag's own manifest proves that the repository has it. */
enum pairs_place { PAIRS_IN_TAG, PAIRS_IN_REPOSITORY, PAIRS_ELSEWHERE };

struct pairs_blob {
	char hex[DIGEST_HEX + 1];
	uint64_t size; /* compressed */
	enum pairs_place place;
};

/* A zeroed struct is empty. */
struct pairs {
	struct strset layers;    /* private: format and diff_id */
	struct pairs_blob *blob; /* private: layers.n of them */
	size_t cap;
	struct strset blobs; /* private: all blobs of PAIRS_IN_TAG */
	bool has_image;      /* an image of PAIRS_IN_TAG was added */
};

void pairs_release(struct pairs *p);

/*
 * Adds the layers of an image. The first blob with a diff_id and a format is kept.
 * `config` may be NULL.
 */
void pairs_add(struct pairs *p, const struct manifest *m, const json_t *config,
	       enum pairs_place place);

/* Returns the blob of a layer in COMPRESS_GZIP or COMPRESS_ZSTD, or NULL. */
const struct pairs_blob *pairs_find(const struct pairs *p, const char *diff_id,
				    enum compress_format format);

/* Whether an image of PAIRS_IN_TAG proves that the repository has this blob. */
bool pairs_has_blob(const struct pairs *p, const char *hex);

#endif
