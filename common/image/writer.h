/*
 * writer: write layer archives and image archives.
 *
 * Both are tars, see dt-image(5). Layers come first; each is named by its diff_id and
 * stored once. The documents of an image archive follow. Entries have no owner and no
 * time, so the output depends only on the contents.
 *
 *	struct writer w = {.fd = STDOUT_FILENO};
 *	writer_file(&w, diff_id, fd, 0, size, comment);
 *	writer_image(&w, config, NULL, "hello", "1", NULL);
 *	writer_end(&w);
 *
 * All functions exit with status 1 if the archive cannot be written.
 *
 * Specifications: OCI image specification, image-layout.md; Docker image specification
 * v1.2, "Combined Image JSON".
 */
#ifndef DT_WRITER_H
#define DT_WRITER_H

#include "base/json.h"
#include "base/strset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;
struct image;
struct layer;
struct layernote;
struct unpack_stream;

/* A layer that the archive lists. */
struct writer_layer {
	uint64_t size;      /* of the uncompressed tar, in bytes */
	bool is_absent;     /* the archive has a stub, or nothing */
	json_t *descriptor; /* of the compressed layer, as a registry has it; or NULL */
};

/* The row of an option --only, whose file is for writer_limit(). */
/* clang-format off */
#define WRITER_OPTION_ONLY(key) \
	{key, "only", "FILE", "write only the layers with these diff_ids, one a line"}
/* clang-format on */

/* A new archive is a zeroed struct with `fd` set. `verify` and `is_oci` are options. */
struct writer {
	int fd;
	bool verify; /* writer_pass() hashes all layers */
	bool is_oci; /* writer_list() leaves out manifest.json */
	/* Set by writer_limit(). */
	bool is_limited;
	struct strset only;
	struct strset layer;        /* hex diff_ids of the listed layers */
	struct writer_layer *about; /* layer.n of them */
	size_t cap;
	uint64_t bytes;         /* sum of the sizes of the written layers */
	json_t *index, *docker; /* the lists of index.json and manifest.json */
};

void writer_release(struct writer *w);

/*
 * Limits the archive to some layers. writer_layer() writes stubs of others; writer_pass()
 * and writer_copy() leave others out. `file` has a line for each diff_id, "sha256:HEX" or
 * HEX, and may be empty. If `file` is NULL, all layers are written. Returns 0, or -1 and
 * a reason.
 */
int writer_limit(struct writer *w, const char *file, struct err *e);

/* Whether writer_limit() leaves the layer out. */
bool writer_leaves_out(const struct writer *w, const char *diff_id);

/* Whether the archive has the bytes of the layer. */
bool writer_has(const struct writer *w, const char *diff_id);

/*
 * Writes a complete layer that layer_measure() measured, or a stub, see
 * writer_limit(). Does nothing if the archive has the layer already. `comment` is for the
 * image's history and may be empty.
 */
void writer_layer(struct writer *w, struct layer *l, const char *comment);

/*
 * Writes a complete layer from `size` bytes of the file `fd` at `offset`. Does nothing if
 * the archive has the layer already.
 */
void writer_file(struct writer *w, const char *diff_id, int fd, off_t offset,
		 uint64_t size, const char *comment);

/*
 * Copies the current layer of the stream `s`, unless the archive has it already. The
 * layer is compared with its diff_id if `verify` is set, or if its bytes pass through
 * user space. Without `verify`, bytes that the kernel copies are not hashed.
 *
 * Returns 0, or -1 and a reason that names the layer as in layercheck_end(). After -1 the
 * caller must not write an end-of-archive mark.
 */
int writer_pass(struct writer *w, struct unpack_stream *s, const struct layernote *note,
		uint64_t size, const char *what, size_t number, struct err *e);

/* Writes a member that is not an uncompressed layer: a document or another blob. */
void writer_member(struct writer *w, const char *name, const struct buf *content);

/* Does the same with the first `size` bytes of the file `fd`. */
void writer_member_file(struct writer *w, const char *name, int fd, uint64_t size);

/*
 * Lists a layer of `size` bytes that the archive lacks, so the archive is thin. Writes
 * nothing. The layer may be written later.
 */
void writer_absent(struct writer *w, const char *diff_id, uint64_t size);

/*
 * Does the same for a layer that a registry has as a compressed blob. `descriptor` names
 * that blob in the image's manifest. Returns 0, or -1 and a reason if the descriptor is
 * not of a compressed layer.
 */
int writer_described(struct writer *w, const char *diff_id, const json_t *descriptor,
		     struct err *e);

/*
 * Writes the layers of the image that the archive does not have yet, with the comments of
 * the image's history. Compares each with its diff_id. A layer that the image's archive
 * lacks is listed if its manifest names a compressed blob, or if writer_limit() leaves it
 * out. Returns 0, or -1 and a reason. After -1 the caller must not write an
 * end-of-archive mark.
 */
int writer_copy(struct writer *w, const struct image *im, struct err *e);

/*
 * Writes the configuration, whose bytes are `text`, and the manifest of an image. All its
 * layers must be in the archive, and no image with the same configuration. `tags` are its
 * references, an array of strings that reference_split() accepts. `annotations` is an
 * object of strings for the manifest, or NULL. The media types are Docker's if
 * config_is_docker() holds, else OCI's.
 */
void writer_add(struct writer *w, const json_t *config, const struct buf *text,
		const json_t *tags, json_t *annotations);

/*
 * Writes an OCI index of all images, whose references are `tags`. index.json will list
 * this index only, and manifest.json will list only image `docker`, counted from 0, with
 * the same references. Must be called after all images were added without references.
 */
void writer_index(struct writer *w, size_t docker, const json_t *tags);

/* Writes the documents that list the images: index.json, oci-layout, manifest.json. */
void writer_list(struct writer *w);

/*
 * Writes all documents of an archive with a single image. `text` is the configuration's
 * bytes; if it is NULL, `config` is encoded. If `tag` is NULL, the tag is the digest of
 * the configuration in Nix's base-32 encoding. `annotations` is as in writer_add().
 */
void writer_image(struct writer *w, const json_t *config, const struct buf *text,
		  const char *name, const char *tag, json_t *annotations);

/* Writes the end-of-archive mark. */
void writer_end(struct writer *w);

#endif
