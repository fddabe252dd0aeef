/*
 * manifest: the documents that describe images in a registry and in an OCI image layout.
 *
 * Image manifests and indexes of OCI (image-spec, manifest.md and image-index.md), and
 * Docker's, "Image Manifest Version 2, Schema 2" and its manifest list, which are alike.
 */
#ifndef DT_MANIFEST_H
#define DT_MANIFEST_H

#include "base/digest.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct platform;

/* The media types of both, for an Accept header. */
extern const char manifest_types[];

/* What a descriptor points to. */
struct manifest_blob {
	char hex[DIGEST_HEX + 1];
	uint64_t size;
	const json_t *urls; /* where else it is, an array; or NULL */
};

struct manifest {
	json_t *doc;
	bool is_index; /* then there is nothing below */
	struct manifest_blob config;
	struct manifest_blob *layer; /* bottom layer first */
	size_t n;
};

/*
 * Reads a manifest or an index. `type` is the media type it came with, or NULL. Returns
 * 0, or -1 and why it is none; in either case the caller releases it.
 */
int manifest_parse(struct manifest *m, const char *text, size_t len, const char *type,
		   struct err *e);
void manifest_release(struct manifest *m);

/*
 * Whether the descriptor, an entry of an index, is of an image or of another index, going
 * by its media type. It may be if it has none.
 */
bool manifest_is_image(const json_t *descriptor);

/*
 * Chooses from an array of descriptors the image for this platform, as skopeo(1) does: an
 * entry of the same variant, or of one that its processors run, too, in the order of
 * preference; else an entry that names no platform. If skopeo finds none, an entry of any
 * variant will do. The first one counts if several are alike. Returns NULL if there is no
 * such entry.
 */
const json_t *manifest_find(const json_t *list, const struct platform *p, const char *os);

/* Why manifest_find() returned NULL. Returns -1. */
int manifest_not_found(const struct platform *p, const char *os, struct err *e);

/* The same for an index that was parsed. Returns 0, or -1 and why not. */
int manifest_choose(const struct manifest *m, const struct platform *p, const char *os,
		    struct manifest_blob *out, struct err *e);

#endif
