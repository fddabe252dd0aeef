#include "image/layerinput.h"

#include "archive/compress.h"
#include "archive/unpack.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/strset.h"
#include "image/config.h"
#include "image/image.h"
#include "image/layernote.h"
#include "image/layout.h"
#include "image/manifest.h"
#include "image/writer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The entries of the archive that are not layers: the documents of an image. */
struct documents {
	struct strset names;
	struct buf *content; /* names.n of them */
	size_t cap;
	const char *what; /* the name of their input */
};

static void release_documents(struct documents *d)
{
	for (size_t i = 0; i < d->names.n; i++)
		buf_release(&d->content[i]);
	free(d->content);
	strset_release(&d->names);
}

void layerinput_release(struct layerinput *in)
{
	json_decref(in->base);
	json_decref(in->diff_ids);
	json_decref(in->history);
	*in = (struct layerinput){0};
}

/* --- the archive --- */

/* Copies a layer to the archive, or drops it if the archive has it already. */
static int take_layer(struct layerinput *in, struct writer *w, const char *created,
		      struct unpack_stream *s, const struct unpack_member *m,
		      const struct layernote *note, struct err *e)
{
	json_array_append_new(in->history, config_history(created, note->comment));
	json_array_append_new(in->diff_ids, json_digest(note->diff_id));
	if (note->is_stub) {
		writer_absent(w, note->diff_id, note->size);
		return 0;
	}
	if (writer_pass(w, s, note, m->size, in->what, json_array_size(in->diff_ids), e) <
	    0)
		return -1;
	progress("layers", w->layer.n, 0, w->bytes, 0);
	return 0;
}

static int foreign(const char *what, const char *name, struct err *e)
{
	return err_set(e,
		       "%s: member '%s' does not belong to a layer archive; use --from "
		       "for images of other tools",
		       what, name);
}

static int keep_document(struct documents *d, const char *what, struct unpack_stream *s,
			 const struct unpack_member *m, struct err *e)
{
	size_t before = d->names.n;
	struct buf text = {0};

	if (m->size > JSON_LIMIT || (before > 0 && d->what != what))
		return foreign(what, m->name, e);
	d->what = what;
	if (strset_find(&d->names, m->name, strlen(m->name)) != STRSET_NONE)
		return err_set(
		    e, "%s: member '%s' occurs twice; an image has only one base image",
		    what, m->name);
	int result = unpack_read(s, &text, JSON_LIMIT, e);
	/* Without this check, the base image would pass for a thin one. */
	if (result == 0 && compress_detect(text.data, text.len) != COMPRESS_NONE)
		result = err_set(e,
				 "%s: member '%s' is a compressed layer; use --from "
				 "for an archive with compressed layers",
				 what, m->name);
	if (result < 0) {
		buf_release(&text);
		return -1;
	}
	strset_add(&d->names, m->name, strlen(m->name));
	d->content = mem_grow(d->content, &d->cap, d->names.n, sizeof *d->content);
	d->content[before] = text;
	return 0;
}

/* Handles one entry of the archive: a layer, or a document of an image. */
static int take_member(struct layerinput *in, struct documents *d, struct writer *w,
		       const char *created, struct unpack_stream *s,
		       const struct unpack_member *m, struct err *e)
{
	struct layernote note;
	int result = layernote_read(&note, m, e);

	if (result < 0)
		err_prefix(e, "%s", in->what);
	else if (result > 0)
		result = take_layer(in, w, created, s, m, &note, e);
	else if (m->is_file)
		result = keep_document(d, in->what, s, m, e);
	layernote_release(&note);
	return result;
}

static int read_archive(struct layerinput *in, struct documents *d, struct writer *w,
			const char *created, const char *file, struct err *e)
{
	int fd = io_open_input(file), result;
	struct unpack_member m;

	in->what = io_name(file);
	if (fd < 0)
		return err_set_errno(e, "%s", in->what);
	struct unpack_stream *s = unpack_stream_new(fd, in->what);
	while ((result = unpack_next(s, &m, e)) > 0) {
		result = take_member(in, d, w, created, s, &m, e);
		if (result < 0)
			break;
	}
	unpack_stream_release(s);
	close(fd);
	return result;
}

/* --- a base image in it --- */

static json_t *document(const struct documents *d, const char *name, struct err *e)
{
	uint32_t i = strset_find(&d->names, name, strlen(name));

	if (i == STRSET_NONE) {
		err_set(e, "%s: the image archive has no member '%s'", d->what, name);
		return NULL;
	}
	json_t *doc = json_parse(d->content[i].data, d->content[i].len, name, e);
	if (doc == NULL)
		err_prefix(e, "%s", d->what);
	return doc;
}

/*
 * The document that index.json names first: the base image's manifest, or an index of
 * several images. A new reference, or NULL.
 */
static json_t *first_manifest(const struct documents *d)
{
	struct err unused;
	char name[LAYOUT_BLOB];
	json_t *manifest = NULL;
	json_t *index = document(d, "index.json", &unused);
	const char *hex =
	    manifest_hex(json_array_get(json_object_get(index, "manifests"), 0));

	if (hex != NULL) {
		layout_blob(hex, name);
		manifest = document(d, name, &unused);
	}
	json_decref(index);
	return manifest;
}

/*
 * Lists a layer of a base image whose archive is thin. `described` is the layer's
 * descriptor in the manifest, or NULL.
 */
static int list_absent(struct writer *w, const char *what, const char *diff_id,
		       size_t number, const json_t *described, struct err *e)
{
	struct manifest_blob blob;

	if (manifest_read(described, &blob, e) < 0)
		return err_set(e,
			       "%s: layer %zu of the base image, sha256:%s, is missing",
			       what, number, diff_id);
	if (strcmp(blob.hex, diff_id) != 0)
		return writer_described(w, diff_id, described, e) < 0
			   ? err_prefix(e, "%s", what)
			   : 0;
	writer_absent(w, diff_id, blob.size);
	return 0;
}

/* Whether the first of the remaining layers has this diff_id. */
static bool is_next(const struct layerinput *in, const char *diff_id)
{
	const char *first = json_string_value(json_array_get(in->diff_ids, 0));

	return first != NULL && strcmp(digest_strip(first), diff_id) == 0;
}

/*
 * Removes the base image's layers from the front of the list. `layers` are their
 * descriptors in the manifest, or NULL. The archive stores a layer
 * once, even if the base image lists it several times. A layer that is not in the archive
 * is listed as absent if the manifest describes it.
 */
static int drop_base_layers(struct layerinput *in, const char *what, const json_t *layers,
			    struct writer *w, struct err *e)
{
	char(*diff_ids)[DIGEST_HEX + 1];
	struct strset seen = {0};
	int64_t n = image_diff_ids(in->base, &diff_ids, e);
	int result = n < 0 ? err_prefix(e, "%s", what) : 0;

	for (int64_t i = 0; i < n && result == 0; i++) {
		size_t before = seen.n;
		strset_add(&seen, diff_ids[i], DIGEST_HEX);
		if (seen.n == before)
			continue;
		if (strset_find(&w->layer, diff_ids[i], DIGEST_HEX) == STRSET_NONE) {
			result = list_absent(w, what, diff_ids[i], (size_t)i + 1,
					     json_array_get(layers, (size_t)i), e);
			continue;
		}
		if (!is_next(in, diff_ids[i]))
			result =
			    err_set(e, "%s: layer %d of the base image is out of order",
				    what, (int)i + 1);
		json_array_remove(in->diff_ids, 0);
		json_array_remove(in->history, 0);
	}
	strset_release(&seen);
	free(diff_ids);
	return result;
}

static int find_base(struct layerinput *in, const struct documents *d, struct writer *w,
		     struct err *e)
{
	static const char list[] = "manifest.json";

	if (d->names.n == 0)
		return 0;
	if (strset_find(&d->names, list, sizeof list - 1) == STRSET_NONE)
		return foreign(d->what, d->names.name[0], e);
	json_t *images = document(d, list, e);
	if (images == NULL)
		return -1;
	json_t *manifest = first_manifest(d);
	const char *member = json_string_at(json_array_get(images, 0), "Config");
	if (json_array_size(images) != 1 || member == NULL ||
	    json_object_get(manifest, "manifests") != NULL)
		err_set(e,
			"%s: not an image archive of one image; use --from for "
			"other archives",
			d->what);
	else
		in->base = document(d, member, e);
	int result =
	    in->base != NULL
		? drop_base_layers(in, d->what, json_object_get(manifest, "layers"), w, e)
		: -1;
	json_decref(manifest);
	json_decref(images);
	return result;
}

int layerinput_read(struct layerinput *in, struct writer *w, const char *created,
		    const char *const file[], size_t n, struct err *e)
{
	struct documents d = {0};
	int result = 0;

	*in = (struct layerinput){.diff_ids = json_array(), .history = json_array()};
	for (size_t i = 0; i < n && result == 0; i++)
		result = read_archive(in, &d, w, created, file[i], e);
	if (result == 0)
		result = find_base(in, &d, w, e);
	release_documents(&d);
	return result;
}
