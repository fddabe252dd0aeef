/*
 * writer: writing layer archives and image archives.
 *
 * The streams of dt-image(5): a tar whose members bear no owner and no time, layers
 * first, each named by its diff_id and stored once, then the documents.
 */
#ifndef DT_WRITER_H
#define DT_WRITER_H

#include "base/json.h"
#include "base/strset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct image;
struct layernote;
struct unpack_stream;

/* A zeroed struct with `fd` set, and `verify` or not, is a new archive. */
struct writer {
	int fd;
	bool verify;         /* writer_pass() hashes all layers */
	struct strset layer; /* hex diff_ids of the layers in it */
	uint64_t *size;      /* layer.n of them: of the uncompressed tars, in bytes */
	size_t cap;
	uint64_t bytes;         /* all of them together */
	json_t *index, *docker; /* what index.json and manifest.json list, so far */
};

void writer_release(struct writer *w);

/*
 * Begins the layer of this diff_id and size: returns true if its bytes and then
 * writer_pad() must follow, false if the archive has the layer already. `comment` is
 * for the image's history and may be empty. All functions end the process if the
 * archive cannot be written.
 */
bool writer_begin(struct writer *w, const char *diff_id, uint64_t size,
		  const char *comment, size_t comment_len);

/* Fills the last block of `size` bytes. */
void writer_pad(struct writer *w, uint64_t size);

/* The same, and its bytes, those of the file `fd` from its start on. */
void writer_file(struct writer *w, const char *diff_id, int fd, uint64_t size,
		 const char *comment);

/*
 * Passes on the layer that a stream is at, if the archive does not have it yet. Its
 * digest is compared with its diff_id if `verify` is true, or if its bytes pass through
 * user space anyway; not if the kernel moves them. Returns 0, or -1 and why not, with
 * `what` and `number` as in layercheck_end(); the archive must not be ended then.
 */
int writer_pass(struct writer *w, struct unpack_stream *s, const struct layernote *note,
		uint64_t size, const char *what, size_t number, struct err *e);

/*
 * Writes those layers of the image that the archive does not have yet, with what its
 * history says of each, and compares them with their diff_ids on the way. Returns 0, or
 * -1 and why not, when the archive must not be ended.
 */
int writer_copy(struct writer *w, const struct image *im, struct err *e);

/*
 * Writes the configuration, whose bytes are `text`, and the manifest of an image all
 * of whose layers are in the archive, and no image of the same configuration. `tags` are
 * its references, an array of strings that reference_split() takes. The media types are
 * those of OCI, or Docker's if config_is_docker().
 */
void writer_add(struct writer *w, const json_t *config, const struct buf *text,
		const json_t *tags);

/* Writes the documents that list the images: index.json, oci-layout, manifest.json. */
void writer_list(struct writer *w);

/*
 * Writes all documents of an archive of one image, the bytes of whose configuration are
 * `text`, or of our making if that is NULL. If `tag` is NULL, the tag is derived from
 * the configuration's digest, as Nix would name an output of it.
 */
void writer_image(struct writer *w, const json_t *config, const struct buf *text,
		  const char *name, const char *tag);

/* Writes the end-of-archive mark. */
void writer_end(struct writer *w);

#endif
