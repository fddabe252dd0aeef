/*
 * image: reading the image archives that any tool wrote. Level 5.
 *
 * Docker's archives (`docker save`: manifest.json, layers as ID/layer.tar or in blobs/)
 * and OCI image layouts in a tar (index.json); compressed or not, their layers too.
 * Everything in them is checked: sizes are bounded, digests compared.
 */
#ifndef DT_IMAGE_H
#define DT_IMAGE_H

#include "digest.h"
#include "json.h"
#include "unpack.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct platform;

struct image_layer {
	char diff_id[DIGEST_HEX + 1];
	const struct unpack_place *place;
};

/* An archive, and the images in it. */
struct image_archive {
	struct unpack_index index;
	const char *file; /* what messages call it; kept, not copied */
	bool is_oci;      /* it has no manifest.json */
	json_t *images;   /* an array: entries of manifest.json, or OCI descriptors */
};

/*
 * Opens the archive `file` ("-": standard input), which must outlive it. Of the OCI
 * descriptors that are for another platform than Linux on `platform`, those are passed
 * over whose name, or lack of one, an image for this platform shares. Returns 0, or -1
 * and why not; in either case the caller releases it.
 */
int image_archive_open(struct image_archive *a, const char *file,
		       const struct platform *platform, struct err *e);

/* A zeroed struct is a no-op. */
void image_archive_release(struct image_archive *a);

/* One image of an archive. */
struct image {
	const struct image_archive *archive;
	struct image_archive *own; /* what image_open() opened, else NULL */
	const char *file;          /* the archive's */
	char id[DIGEST_HEX + 1];   /* the digest of the configuration's bytes */
	struct buf text;           /* these bytes */
	json_t *config;            /* the image configuration, an object */
	json_t *tags;              /* its references, an array of strings */
	struct image_layer *layer; /* bottom layer first */
	size_t n;
};

/*
 * Opens the archive `file` ("-": standard input) and chooses an image: the first one
 * that has exactly this name and tag; NULL is any. Among the platforms of an OCI index
 * the first one for Linux on `platform` is taken. Returns 0, or -1 and why not; in
 * either case the caller releases it. `file` must outlive the image.
 */
int image_open(struct image *im, const char *file, const char *name, const char *tag,
	       const struct platform *platform, struct err *e);

/*
 * Opens number `i` of the archive's images, counted from 0; of a descriptor of several
 * platforms, the first image for Linux on `platform`. Returns 0, or -1 and why not; in
 * either case the caller releases it, before the archive.
 */
int image_open_at(struct image *im, const struct image_archive *a, size_t i,
		  const struct platform *platform, struct err *e);

/* A zeroed struct is a no-op. */
void image_release(struct image *im);

/*
 * How many bytes layer `i` has uncompressed. Uncompresses it into a temporary file if
 * need be, which stays open until the next layer is asked for. Returns 0, or -1 and why.
 */
struct image_bytes {
	int fd;
	bool is_own;
	off_t offset;
	uint64_t size;
};
int image_layer_open(const struct image *im, size_t i, struct image_bytes *b,
		     struct err *e);
void image_layer_close(struct image_bytes *b);

/*
 * Writes the uncompressed layer to `out`, or nowhere if that is -1, and compares it with
 * its diff_id on the way. Returns 0, or -1 and why not, when what was written must not
 * pass for whole.
 */
int image_layer_write(const struct image *im, size_t i, const struct image_bytes *b,
		      int out, struct err *e);

/*
 * All layers at once: uncompressed, and compared with their diff_ids, on all cores while
 * the caller goes on.
 */
struct image_layers;

/* `im` must outlive the result, which the caller releases. Without `verify`, layers are
 * only uncompressed. */
struct image_layers *image_layers_open(const struct image *im, bool verify);
void image_layers_release(struct image_layers *l);

/*
 * Where layer `i` lies uncompressed, until the release; waits for that if need be. It may
 * not have been compared yet. Returns 0, or -1 and why not.
 */
int image_layers_get(struct image_layers *l, size_t i, struct image_bytes *b,
		     struct err *e);

/* Waits for all layers to be compared. Returns 0, or -1 and what is wrong with one. */
int image_layers_check(struct image_layers *l, struct err *e);

/*
 * Checks that `config` is an image configuration and writes the hex diff_ids of its
 * layers to a new array, which the caller frees. Returns how many, or -1 and why not.
 */
int64_t image_diff_ids(const json_t *config, char (**diff_ids)[DIGEST_HEX + 1],
		       struct err *e);

#endif
