/*
 * manifest: parse image manifests and indexes, and select a platform.
 *
 * A manifest lists an image's configuration and layers. An index, which Docker calls a
 * manifest list, lists manifests for several platforms. Registries and OCI image layouts
 * have both:
 *
 *	if (manifest_parse(&m, text, len, type, &e) == 0 && m.is_index)
 *		result = manifest_choose(&m, &platform, "linux", &blob, &e);
 *	manifest_release(&m);
 *
 * Specifications: OCI image specification, manifest.md, image-index.md and descriptor.md;
 * Docker's "Image Manifest Version 2, Schema 2" and its manifest list.
 */
#ifndef DT_MANIFEST_H
#define DT_MANIFEST_H

#include "archive/compress.h"
#include "base/digest.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct err;
struct platform;

/* The four supported media types, separated by commas, for an Accept header. */
extern const char manifest_types[];

/* The media type of an OCI index. */
extern const char manifest_index_type[];

/* How deep indexes may be nested in indexes. */
enum { MANIFEST_NESTING = 4 };

/*
 * The annotations of a descriptor in index.json that name an image: containerd's, with
 * the full name and the tag, and OCI's, with the tag.
 */
extern const char manifest_name_key[], manifest_tag_key[];

/* The media types of an image's documents. Those of its layers are uncompressed. */
struct manifest_media {
	const char *manifest, *config, *layer;
};

/*
 * The media types for an image with this configuration: Docker's if config_is_docker()
 * holds, else OCI's. podman ignores a Healthcheck in an OCI configuration.
 */
const struct manifest_media *manifest_media(const json_t *config);

/*
 * The compression that the media type of a layer states. Returns COMPRESS_OTHER if it is
 * not the type of a layer.
 */
enum compress_format manifest_layer_format(const char *type);

/* Appends the media type `type` of a layer, changed for another compression. */
void manifest_layer_type(const char *type, enum compress_format format, struct buf *out);

/* The target of a descriptor. */
struct manifest_blob {
	char hex[DIGEST_HEX + 1];
	uint64_t size;
	const json_t *urls; /* other locations, an array; or NULL */
};

/* Returns a new descriptor. */
json_t *manifest_descriptor(const char *type, const char *hex, uint64_t size);

/*
 * The "platform" of a descriptor for an image with this configuration. Returns a new
 * reference.
 */
json_t *manifest_platform(const json_t *config);

/*
 * Makes a descriptor refer to another blob. Its other keys stay, and so does its media
 * type if `type` is NULL.
 */
void manifest_refer(json_t *descriptor, const char *type, const char *hex, uint64_t size);

/* Returns a new OCI index of these descriptors, an array. */
json_t *manifest_index(json_t *descriptors);

/* The hex digest in a descriptor, or NULL if it has no sha256 digest. */
const char *manifest_hex(const json_t *descriptor);

/* Reads a descriptor. Returns 0, or -1 and a reason. b->urls is borrowed. */
int manifest_read(const json_t *descriptor, struct manifest_blob *b, struct err *e);

struct manifest {
	json_t *doc;
	bool is_index; /* then the members below are empty */
	struct manifest_blob config;
	struct manifest_blob *layer; /* bottom layer first */
	size_t n;
};

/*
 * Parses a manifest or an index. `type` is the media type that came with it, or NULL.
 * Returns 0, or -1 and a reason. The caller must release `m` in both cases.
 */
int manifest_parse(struct manifest *m, const char *text, size_t len, const char *type,
		   struct err *e);
void manifest_release(struct manifest *m);

/*
 * Whether a descriptor of an index can be of an image or of a nested index. Its media
 * type decides; a descriptor without one is accepted.
 */
bool manifest_is_image(const json_t *descriptor);

/* Whether the media type of a descriptor is that of an index. */
bool manifest_is_index(const json_t *descriptor);

/*
 * Selects from an array of descriptors the image for a platform, in the order of
 * skopeo(1):
 *
 *   - an entry of the same variant;
 *   - an entry of another variant that such processors also run, best first;
 *   - an entry without a platform;
 *   - an entry of any variant, which skopeo does not accept.
 *
 * The first of several equal entries is selected. Returns a borrowed reference, or NULL.
 */
const json_t *manifest_find(const json_t *list, const struct platform *p, const char *os);

/* Writes the reason why manifest_find() returned NULL. Returns -1. */
int manifest_not_found(const struct platform *p, const char *os, struct err *e);

/* Calls manifest_find() for the entries of an index. Returns 0, or -1 and a reason. */
int manifest_choose(const struct manifest *m, const struct platform *p, const char *os,
		    struct manifest_blob *out, struct err *e);

#endif
