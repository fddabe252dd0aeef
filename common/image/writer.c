#include "image/writer.h"

#include "archive/compress.h"
#include "archive/tar.h"
#include "archive/unpack.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/io.h"
#include "base/lines.h"
#include "base/mem.h"
#include "base/progress.h"
#include "image/config.h"
#include "image/image.h"
#include "image/layercheck.h"
#include "image/layernote.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "tree/layer.h"

#include <stdlib.h>
#include <string.h>

enum { ONLY_MAX = 1 << 20 };

void writer_release(struct writer *w)
{
	for (size_t i = 0; i < w->layer.n; i++)
		json_decref(w->about[i].descriptor);
	strset_release(&w->layer);
	strset_release(&w->only);
	free(w->about);
	json_decref(w->index);
	json_decref(w->docker);
	*w = (struct writer){.fd = w->fd};
}

static void put(struct writer *w, const void *data, size_t len)
{
	if (io_write(w->fd, data, len) < 0)
		die_errno("%s", io_output());
}

/* Pads an entry of `size` bytes to a multiple of the tar block size. */
static void pad(struct writer *w, uint64_t size)
{
	static const char zeroes[TAR_BLOCK];

	put(w, zeroes, tar_padding(size));
}

static void put_header(struct writer *w, const char *name, uint64_t size,
		       const struct buf *records)
{
	struct buf header = {0};
	struct tar_member m = {
	    .name = name,
	    .type = TAR_FILE,
	    .mode = 0644,
	    .size = size,
	    .records = records,
	};

	tar_header(&header, &m);
	put(w, header.data, header.len);
	buf_release(&header);
}

static void put_member(struct writer *w, const char *name, const struct buf *content)
{
	put_header(w, name, content->len, NULL);
	put(w, content->data, content->len);
	pad(w, content->len);
}

/*
 * Lists a layer. Returns false if the archive has it already, or has as much of it as
 * `is_absent` adds.
 */
static bool list_layer(struct writer *w, const char *diff_id, uint64_t size,
		       bool is_absent)
{
	size_t before = w->layer.n;
	uint32_t i = strset_add(&w->layer, diff_id, DIGEST_HEX);

	if (w->layer.n > before) {
		w->about = mem_grow(w->about, &w->cap, w->layer.n, sizeof *w->about);
		w->about[i] = (struct writer_layer){0};
	} else if (!w->about[i].is_absent || is_absent) {
		return false;
	}
	json_decref(w->about[i].descriptor);
	w->about[i] = (struct writer_layer){.size = size, .is_absent = is_absent};
	if (!is_absent)
		w->bytes += size;
	return true;
}

/* Whether `only` leaves the layer out. */
static bool is_left_out(const struct writer *w, const char *diff_id)
{
	return w->is_limited && strset_find(&w->only, diff_id, DIGEST_HEX) == STRSET_NONE;
}

/* Whether the archive has the bytes of the layer. */
static bool has_layer(const struct writer *w, const char *diff_id)
{
	uint32_t i = strset_find(&w->layer, diff_id, DIGEST_HEX);

	return i != STRSET_NONE && !w->about[i].is_absent;
}

/* A layer that is added to the archive. */
struct source {
	const char *diff_id, *comment;
	uint64_t size;
	/* Writes exactly `size` bytes to the archive. Returns 0, or -1 and a reason. */
	int (*write)(void *arg, struct writer *w, struct err *e);
	void *arg;
};

/* Adds a layer, unless the archive has it already. */
static int add(struct writer *w, const struct source *s, struct err *e)
{
	struct buf name = {0}, records = {0};

	if (!list_layer(w, s->diff_id, s->size, false))
		return 0;
	buf_addf(&name, "blobs/sha256/%s", s->diff_id);
	layernote_write(&records, s->diff_id, s->comment);
	put_header(w, name.data, s->size, &records);
	int result = s->write(s->arg, w, e);
	if (result == 0)
		pad(w, s->size);
	buf_release(&name);
	buf_release(&records);
	return result;
}

static int write_layer(void *arg, struct writer *w, struct err *e)
{
	(void)e;
	layer_write(arg, w->fd);
	return 0;
}

/* Writes a stub of a layer, unless the archive has the layer or its stub. */
static void add_stub(struct writer *w, const struct layer *l, const char *comment)
{
	struct buf name = {0}, records = {0};

	if (!list_layer(w, l->diff_id, l->size, true))
		return;
	buf_addf(&name, "absent/sha256/%s", l->diff_id);
	layernote_write_stub(&records, l->diff_id, l->size, comment);
	put_header(w, name.data, 0, &records);
	buf_release(&name);
	buf_release(&records);
}

void writer_absent(struct writer *w, const char *diff_id, uint64_t size)
{
	(void)list_layer(w, diff_id, size, true);
}

int writer_described(struct writer *w, const char *diff_id, const json_t *descriptor,
		     struct err *e)
{
	const char *type = json_string_at(descriptor, "mediaType");
	enum compress_format format =
	    type != NULL ? manifest_layer_format(type) : COMPRESS_OTHER;
	struct manifest_blob unused;

	if ((format != COMPRESS_GZIP && format != COMPRESS_ZSTD) ||
	    manifest_read(descriptor, &unused, e) < 0)
		return err_set(e,
			       "layer sha256:%s has a descriptor that is not of a "
			       "compressed layer",
			       diff_id);
	if (list_layer(w, diff_id, 0, true)) {
		uint32_t i = strset_find(&w->layer, diff_id, DIGEST_HEX);
		w->about[i].descriptor = json_deep_copy(descriptor);
	}
	return 0;
}

static int read_diff_id(void *arg, const char *line, size_t len, struct err *e)
{
	char text[sizeof "sha256:" + DIGEST_HEX] = "";

	if (len < sizeof text)
		memcpy(text, line, len);
	const char *hex = digest_strip(text);
	if (hex == NULL)
		hex = text;
	if (!digest_is_hex(hex))
		return err_set(e, "not a diff_id");
	strset_add(arg, hex, DIGEST_HEX);
	return 0;
}

int writer_limit(struct writer *w, const char *file, struct err *e)
{
	struct buf text = {0};

	if (file == NULL)
		return 0;
	w->is_limited = true;
	int result = io_slurp_as(file, io_name(file), &text, ONLY_MAX, e);
	if (result == 0)
		result = lines_scan(text.data, text.len, io_name(file), read_diff_id,
				    &w->only, e);
	buf_release(&text);
	return result;
}

void writer_layer(struct writer *w, struct layer *l, const char *comment)
{
	struct err unused;

	if (is_left_out(w, l->diff_id)) {
		add_stub(w, l, comment);
		return;
	}
	(void)add(w, &(struct source){l->diff_id, comment, l->size, write_layer, l},
		  &unused);
}

/* The beginning of a file. */
struct span {
	int fd;
	uint64_t size;
};

static int write_span(void *arg, struct writer *w, struct err *e)
{
	const struct span *span = arg;
	off_t at = 0;
	int64_t n = io_copy(span->fd, &at, w->fd, span->size);

	if (n < 0)
		return err_set_errno(e, "%s", io_output());
	if ((uint64_t)n != span->size)
		return err_set(e, "a layer is shorter than it was");
	return 0;
}

void writer_file(struct writer *w, const char *diff_id, int fd, uint64_t size,
		 const char *comment)
{
	struct span span = {fd, size};
	struct err why;

	if (add(w, &(struct source){diff_id, comment, size, write_span, &span}, &why) < 0)
		die("%s", why.text);
}

/* A layer of a stream. */
struct passing {
	struct unpack_stream *stream;
	const char *diff_id, *what;
	uint64_t size;
	size_t number;
};

static int write_passing(void *arg, struct writer *w, struct err *e)
{
	const struct passing *p = arg;
	struct layercheck check;
	const struct io_watch watch = {layercheck_see, &check, w->verify};
	struct err why;

	layercheck_begin(&check);
	int copied = unpack_copy(p->stream, w->fd, &watch, e);
	int checked =
	    layercheck_end(&check, p->diff_id, p->size, p->what, p->number, &why);
	if (copied == 0 && checked < 0)
		*e = why;
	return copied < 0 || checked < 0 ? -1 : 0;
}

int writer_pass(struct writer *w, struct unpack_stream *s, const struct layernote *note,
		uint64_t size, const char *what, size_t number, struct err *e)
{
	struct passing p = {s, note->diff_id, what, size, number};

	if (is_left_out(w, note->diff_id)) {
		writer_absent(w, note->diff_id, size);
		return 0;
	}
	return add(
	    w, &(struct source){note->diff_id, note->comment, size, write_passing, &p},
	    e);
}

/*
 * The comments of the image's history, by layer. An element is NULL if the layer has
 * none, or if the history has another number of layers.
 */
static const char **comments_of(const struct image *im)
{
	const char **comment = mem_zero(im->n, sizeof *comment);
	const json_t *history = json_object_get(im->config, "history");
	size_t layer = 0;

	for (size_t i = 0; i < json_array_size(history); i++) {
		const json_t *entry = json_array_get(history, i);
		if (!json_is_true(json_object_get(entry, "empty_layer")) &&
		    layer++ < im->n)
			comment[layer - 1] = json_string_at(entry, "comment");
	}
	for (size_t i = 0; layer != im->n && i < im->n; i++)
		comment[i] = NULL;
	return comment;
}

/* A layer of an image. */
struct opened {
	const struct image *image;
	size_t i;
	struct image_bytes bytes;
};

static int write_block(void *arg, const void *data, size_t len, struct err *e)
{
	(void)e;
	put(arg, data, len);
	return 0;
}

static int write_opened(void *arg, struct writer *w, struct err *e)
{
	const struct opened *o = arg;

	return image_layer_read(o->image, o->i, &o->bytes, write_block, w, e);
}

/*
 * The descriptors of the layers in the image's manifest, a new reference, if the archive
 * lacks a layer. Otherwise NULL.
 */
static json_t *describe_layers(const struct image *im)
{
	size_t i = 0;
	struct buf text = {0};
	struct err unused;

	while (i < im->n && im->layer[i].place != NULL)
		i++;
	json_t *descriptor =
	    i < im->n ? image_archive_descriptor(im->archive, im->id, im->n) : NULL;
	if (descriptor == NULL)
		return NULL;
	json_t *doc = image_archive_blob(im->archive, descriptor, &text, &unused);
	json_t *layers = json_incref(json_object_get(doc, "layers"));
	json_decref(doc);
	json_decref(descriptor);
	buf_release(&text);
	return layers;
}

/* Lists a layer that the image's archive lacks, if the descriptor is of another blob. */
static int copy_absent(struct writer *w, const struct image *im, size_t i,
		       const json_t *descriptor, struct err *e)
{
	const char *diff_id = im->layer[i].diff_id, *hex = manifest_hex(descriptor);

	if (hex == NULL || strcmp(hex, diff_id) == 0)
		return image_lacks(im, i, e);
	return writer_described(w, diff_id, descriptor, e) < 0
		   ? err_prefix(e, "%s", im->file)
		   : 0;
}

static int copy_layer(struct writer *w, const struct image *im, size_t i,
		      const char *comment, const json_t *descriptor, struct err *e)
{
	const char *diff_id = im->layer[i].diff_id;
	struct opened o = {.image = im, .i = i};

	if (has_layer(w, diff_id))
		return 0;
	if (im->layer[i].place == NULL)
		return copy_absent(w, im, i, descriptor, e);
	if (image_layer_open(im, i, &o.bytes, e) < 0)
		return -1;
	if (is_left_out(w, diff_id)) {
		writer_absent(w, diff_id, o.bytes.size);
		image_layer_close(&o.bytes);
		return 0;
	}
	int result =
	    add(w, &(struct source){diff_id, comment, o.bytes.size, write_opened, &o}, e);
	image_layer_close(&o.bytes);
	return result;
}

int writer_copy(struct writer *w, const struct image *im, struct err *e)
{
	const char **comment = comments_of(im);
	json_t *described = describe_layers(im);
	int result = 0;

	for (size_t i = 0; i < im->n && result == 0; i++) {
		result = copy_layer(w, im, i, comment[i] != NULL ? comment[i] : "",
				    json_array_get(described, i), e);
		progress("layers", w->layer.n, w->layer.n, w->bytes);
	}
	json_decref(described);
	free(comment);
	return result;
}

void writer_end(struct writer *w)
{
	static const char mark[2 * TAR_BLOCK];

	put(w, mark, sizeof mark);
}

/* Writes a blob and returns its descriptor. */
static json_t *put_text(struct writer *w, const struct buf *text, const char *media_type,
			char hex[DIGEST_HEX + 1])
{
	struct buf name = {0};

	digest_of(text->data, text->len, hex);
	buf_addf(&name, "blobs/sha256/%s", hex);
	put_member(w, name.data, text);
	buf_release(&name);
	return manifest_descriptor(media_type, hex, text->len);
}

/* Writes a document as the entry `name`, and releases it. */
static void put_document(struct writer *w, const char *name, json_t *doc)
{
	struct buf text = {0};

	json_write(doc, &text);
	put_member(w, name, &text);
	buf_release(&text);
	json_decref(doc);
}

/* The hex diff_id of layer `i` of the configuration, or NULL. */
static const char *diff_id(const json_t *config, size_t i)
{
	const json_t *ids =
	    json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	const char *text = json_string_value(json_array_get(ids, i));

	return text != NULL ? digest_strip(text) : NULL;
}

/* The descriptor of a layer, with the media type that goes with the other documents. */
static json_t *layer_descriptor(const struct writer_layer *about, const char *id,
				const struct manifest_media *types)
{
	struct buf type = {0};

	if (about->descriptor == NULL)
		return manifest_descriptor(types->layer, id, about->size);
	json_t *d = json_deep_copy(about->descriptor);
	manifest_layer_type(types->layer,
			    manifest_layer_format(json_string_at(d, "mediaType")), &type);
	json_object_set_new(d, "mediaType", json_string(type.data));
	buf_release(&type);
	return d;
}

/* Writes the manifest (OCI image specification, manifest.md). Returns its descriptor. */
static json_t *put_manifest(struct writer *w, const json_t *config,
			    json_t *config_descriptor, const struct manifest_media *types)
{
	json_t *manifest = json_object(), *layers = json_array();
	struct buf text = {0};
	char hex[DIGEST_HEX + 1];
	const char *id;

	for (size_t i = 0; (id = diff_id(config, i)) != NULL; i++) {
		uint32_t at = strset_find(&w->layer, id, DIGEST_HEX);
		if (at == STRSET_NONE)
			die("layer %zu, %s, is missing from the input", i + 1, id);
		json_array_append_new(layers, layer_descriptor(&w->about[at], id, types));
	}
	json_object_set_new(manifest, "schemaVersion", json_integer(2));
	json_object_set_new(manifest, "mediaType", json_string(types->manifest));
	json_object_set_new(manifest, "config", config_descriptor);
	json_object_set_new(manifest, "layers", layers);
	json_write(manifest, &text);
	json_t *d = put_text(w, &text, types->manifest, hex);
	buf_release(&text);
	json_decref(manifest);
	return d;
}

static json_t *platform_of(const json_t *config)
{
	static const char *const keys[] = {"architecture", "os", "variant"};
	json_t *platform = json_object();

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		json_t *value = json_object_get(config, keys[i]);
		if (json_is_string(value))
			json_object_set(platform, keys[i], value);
	}
	return platform;
}

/* The annotations from which containerd and Docker read the image's name. */
static json_t *annotations(const char *reference)
{
	json_t *notes = json_object();
	struct buf name = {0}, full = {0};
	const char *tag;
	struct err why;

	if (reference_split(reference, &name, &tag, &why) < 0)
		die("%s", why.text);
	reference_full_name(name.data, &full);
	buf_addf(&full, ":%s", tag);
	json_object_set_new(notes, "io.containerd.image.name", json_string(full.data));
	json_object_set_new(notes, "org.opencontainers.image.ref.name", json_string(tag));
	buf_release(&name);
	buf_release(&full);
	return notes;
}

/*
 * Adds the manifest to the list of index.json (OCI image specification, image-layout.md):
 * one descriptor for each reference, or a single one without a name.
 */
static void list_oci(json_t *list, const json_t *config, json_t *manifest,
		     const json_t *tags)
{
	size_t i;
	json_t *tag;

	json_object_set_new(manifest, "platform", platform_of(config));
	json_array_foreach(tags, i, tag)
	{
		json_t *named = json_copy(manifest);
		json_object_set_new(named, "annotations",
				    annotations(json_string_value(tag)));
		json_array_append_new(list, named);
	}
	if (json_array_size(tags) == 0)
		json_array_append(list, manifest);
}

/*
 * Adds to the list of manifest.json (Docker image specification v1.2, "Combined Image
 * JSON").
 */
static void list_docker(json_t *list, const json_t *config, const char *config_hex,
			const json_t *tags)
{
	json_t *entry = json_object(), *layers = json_array();
	const char *id;

	for (size_t i = 0; (id = diff_id(config, i)) != NULL; i++)
		json_array_append_new(layers, json_joined("blobs/sha256/", id));
	json_object_set_new(entry, "Config", json_joined("blobs/sha256/", config_hex));
	json_object_set_new(entry, "RepoTags", json_deep_copy(tags));
	json_object_set_new(entry, "Layers", layers);
	json_array_append_new(list, entry);
}

void writer_add(struct writer *w, const json_t *config, const struct buf *text,
		const json_t *tags)
{
	const struct manifest_media *types = manifest_media(config);
	char hex[DIGEST_HEX + 1];
	json_t *config_descriptor = put_text(w, text, types->config, hex);
	json_t *manifest = put_manifest(w, config, config_descriptor, types);

	if (w->index == NULL) {
		w->index = json_array();
		w->docker = json_array();
	}
	list_oci(w->index, config, manifest, tags);
	list_docker(w->docker, config, hex, tags);
	json_decref(manifest);
}

void writer_list(struct writer *w)
{
	json_t *index = json_object(), *layout = json_object();

	json_object_set_new(index, "schemaVersion", json_integer(2));
	json_object_set_new(index, "mediaType", json_string(manifest_index_type));
	json_object_set(index, "manifests", w->index);
	json_object_set_new(layout, "imageLayoutVersion", json_string("1.0.0"));
	put_document(w, "index.json", index);
	put_document(w, "oci-layout", layout);
	put_document(w, "manifest.json", json_incref(w->docker));
}

void writer_image(struct writer *w, const json_t *config, const struct buf *text,
		  const char *name, const char *tag)
{
	char hex[DIGEST_HEX + 1], content_tag[DIGEST_NIX32 + 1];
	struct buf own = {0}, reference = {0};
	json_t *tags = json_array();

	if (text == NULL) {
		json_write(config, &own);
		text = &own;
	}
	digest_of(text->data, text->len, hex);
	digest_nix32(hex, content_tag);
	buf_addf(&reference, "%s:%s", name, tag != NULL ? tag : content_tag);
	json_array_append_new(tags, json_string(reference.data));
	writer_add(w, config, text, tags);
	writer_list(w);
	json_decref(tags);
	buf_release(&reference);
	buf_release(&own);
}
