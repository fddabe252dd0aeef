#include "writer.h"

#include "buf.h"
#include "digest.h"
#include "err.h"
#include "io.h"
#include "mem.h"
#include "reference.h"
#include "tar.h"

#include <stdlib.h>
#include <string.h>

void writer_release(struct writer *w)
{
	names_release(&w->layer);
	free(w->size);
	*w = (struct writer){.fd = w->fd};
}

static void put(struct writer *w, const void *data, size_t len)
{
	if (io_write(w->fd, data, len) < 0)
		die_errno("standard output");
}

void writer_pad(struct writer *w, uint64_t size)
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
	writer_pad(w, content->len);
}

bool writer_begin(struct writer *w, const char *diff_id, uint64_t size,
		  const char *comment, size_t comment_len)
{
	struct buf name = {0}, records = {0};
	size_t before = w->layer.n;
	uint32_t i = names_add(&w->layer, diff_id, DIGEST_HEX);

	if (w->layer.n == before)
		return false;
	w->size = mem_grow(w->size, &w->cap, w->layer.n, sizeof *w->size);
	w->size[i] = size;
	w->bytes += size;
	buf_addf(&name, "blobs/sha256/%s", diff_id);
	tar_record(&records, "DT.diff_id", diff_id, DIGEST_HEX);
	if (comment_len > 0)
		tar_record(&records, "DT.comment", comment, comment_len);
	put_header(w, name.data, size, &records);
	buf_release(&name);
	buf_release(&records);
	return true;
}

void writer_end(struct writer *w)
{
	static const char mark[2 * TAR_BLOCK];

	put(w, mark, sizeof mark);
}

static json_t *string(const char *prefix, const char *s)
{
	struct buf text = {0};

	buf_addf(&text, "%s%s", prefix, s);
	json_t *value = json_string(text.data);
	buf_release(&text);
	return value;
}

/* OCI image specification, descriptor.md. */
static json_t *descriptor(const char *media_type, const char *hex, uint64_t size)
{
	json_t *d = json_object();

	json_object_set_new(d, "mediaType", json_string(media_type));
	json_object_set_new(d, "digest", string("sha256:", hex));
	json_object_set_new(d, "size", json_integer((json_int_t)size));
	return d;
}

/* Writes a document as a blob and returns its descriptor. */
static json_t *put_blob(struct writer *w, const json_t *doc, const char *media_type,
			char hex[DIGEST_HEX + 1])
{
	struct buf text = {0}, name = {0};

	json_write(doc, &text);
	digest_of(text.data, text.len, hex);
	buf_addf(&name, "blobs/sha256/%s", hex);
	put_member(w, name.data, &text);
	json_t *d = descriptor(media_type, hex, text.len);
	buf_release(&text);
	buf_release(&name);
	return d;
}

/* Writes a document under its name, and frees it. */
static void put_document(struct writer *w, const char *name, json_t *doc)
{
	struct buf text = {0};

	json_write(doc, &text);
	put_member(w, name, &text);
	buf_release(&text);
	json_decref(doc);
}

/* The hex diff_id of the configuration's layer `i`. */
static const char *diff_id(const json_t *config, size_t i)
{
	const json_t *ids =
	    json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	const char *text = json_string_value(json_array_get(ids, i));

	return text != NULL ? digest_strip(text) : NULL;
}

/* The OCI manifest, image-spec manifest.md; returns its descriptor. */
static json_t *put_manifest(struct writer *w, const json_t *config,
			    json_t *config_descriptor)
{
	static const char type[] = "application/vnd.oci.image.manifest.v1+json";
	static const char layer_type[] = "application/vnd.oci.image.layer.v1.tar";
	json_t *manifest = json_object(), *layers = json_array();
	char hex[DIGEST_HEX + 1];
	const char *id;

	for (size_t i = 0; (id = diff_id(config, i)) != NULL; i++) {
		uint32_t at = names_find(&w->layer, id, DIGEST_HEX);
		if (at == NAMES_NONE)
			die("layer %zu, %s, did not come in", i + 1, id);
		json_array_append_new(layers, descriptor(layer_type, id, w->size[at]));
	}
	json_object_set_new(manifest, "schemaVersion", json_integer(2));
	json_object_set_new(manifest, "mediaType", json_string(type));
	json_object_set_new(manifest, "config", config_descriptor);
	json_object_set_new(manifest, "layers", layers);
	json_t *d = put_blob(w, manifest, type, hex);
	json_decref(manifest);
	return d;
}

/* index.json, image-spec image-layout.md; containerd and Docker read the annotations. */
static void put_index(struct writer *w, const json_t *config, json_t *manifest,
		      const char *name, const char *tag)
{
	static const char type[] = "application/vnd.oci.image.index.v1+json";
	static const char *const keys[] = {"architecture", "os", "variant"};
	json_t *index = json_object(), *list = json_array(), *notes = json_object();
	json_t *platform = json_object(), *layout = json_object();
	struct buf full = {0};

	reference_full_name(name, &full);
	buf_addf(&full, ":%s", tag);
	json_object_set_new(notes, "io.containerd.image.name", json_string(full.data));
	json_object_set_new(notes, "org.opencontainers.image.ref.name", json_string(tag));
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		json_t *value = json_object_get(config, keys[i]);
		if (value != NULL)
			json_object_set(platform, keys[i], value);
	}
	json_object_set_new(manifest, "platform", platform);
	json_object_set_new(manifest, "annotations", notes);
	json_array_append_new(list, manifest);
	json_object_set_new(index, "schemaVersion", json_integer(2));
	json_object_set_new(index, "mediaType", json_string(type));
	json_object_set_new(index, "manifests", list);
	put_document(w, "index.json", index);
	json_object_set_new(layout, "imageLayoutVersion", json_string("1.0.0"));
	put_document(w, "oci-layout", layout);
	buf_release(&full);
}

/* manifest.json, Docker image specification v1.2, "Combined Image JSON". */
static void put_docker(struct writer *w, const json_t *config, const char *config_hex,
		       const char *name, const char *tag)
{
	json_t *entry = json_object(), *tags = json_array(), *layers = json_array();
	json_t *list = json_array();
	struct buf text = {0};
	const char *id;

	buf_addf(&text, "%s:%s", name, tag);
	json_array_append_new(tags, json_string(text.data));
	for (size_t i = 0; (id = diff_id(config, i)) != NULL; i++)
		json_array_append_new(layers, string("blobs/sha256/", id));
	json_object_set_new(entry, "Config", string("blobs/sha256/", config_hex));
	json_object_set_new(entry, "RepoTags", tags);
	json_object_set_new(entry, "Layers", layers);
	json_array_append_new(list, entry);
	put_document(w, "manifest.json", list);
	buf_release(&text);
}

void writer_image(struct writer *w, const json_t *config, const char *name,
		  const char *tag)
{
	static const char type[] = "application/vnd.oci.image.config.v1+json";
	char hex[DIGEST_HEX + 1], content_tag[DIGEST_NIX32 + 1];
	json_t *config_descriptor = put_blob(w, config, type, hex);

	digest_nix32(hex, content_tag);
	if (tag == NULL)
		tag = content_tag;
	json_t *manifest = put_manifest(w, config, config_descriptor);
	put_index(w, config, manifest, name, tag);
	put_docker(w, config, hex, name, tag);
}
