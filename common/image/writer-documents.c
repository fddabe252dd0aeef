#include "image/writer.h"

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "image/layout.h"
#include "image/manifest.h"
#include "image/reference.h"

/* Writes a blob and returns its descriptor. */
static json_t *put_text(struct writer *w, const struct buf *text, const char *media_type,
			char hex[DIGEST_HEX + 1])
{
	char name[LAYOUT_BLOB];

	digest_of(text->data, text->len, hex);
	layout_blob(hex, name);
	writer_member(w, name, text);
	return manifest_descriptor(media_type, hex, text->len);
}

/* Writes a document as the entry `name`, and releases it. */
static void put_document(struct writer *w, const char *name, json_t *doc)
{
	struct buf text = {0};

	json_write(doc, &text);
	writer_member(w, name, &text);
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
			    json_t *config_descriptor, const struct manifest_media *types,
			    json_t *annotations)
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
	if (json_object_size(annotations) > 0)
		json_object_set(manifest, "annotations", annotations);
	json_write(manifest, &text);
	if (text.len > JSON_LIMIT)
		die("the manifest would have %zu bytes, but readers accept at most %d; "
		    "use shorter annotations",
		    text.len, JSON_LIMIT);
	json_t *d = put_text(w, &text, types->manifest, hex);
	buf_release(&text);
	json_decref(manifest);
	return d;
}

/* The annotations from which containerd and Docker read the image's name. */
static json_t *name_annotations(const char *reference)
{
	json_t *notes = json_object();
	struct buf name = {0}, full = {0};
	const char *tag;
	struct err why;

	if (reference_split(reference, &name, &tag, &why) < 0)
		die("%s", why.text);
	reference_full_name(name.data, &full);
	buf_addf(&full, ":%s", tag);
	json_object_set_new(notes, manifest_name_key, json_string(full.data));
	json_object_set_new(notes, manifest_tag_key, json_string(tag));
	buf_release(&name);
	buf_release(&full);
	return notes;
}

/*
 * Adds a descriptor to the list of index.json (OCI image specification, image-layout.md):
 * once for each reference, or a single time without a name.
 */
static void list_oci(json_t *list, json_t *descriptor, const json_t *tags)
{
	size_t i;
	json_t *tag;

	json_array_foreach(tags, i, tag)
	{
		json_t *named = json_copy(descriptor);
		json_object_set_new(named, "annotations",
				    name_annotations(json_string_value(tag)));
		json_array_append_new(list, named);
	}
	if (json_array_size(tags) == 0)
		json_array_append(list, descriptor);
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
		json_array_append_new(layers, layout_json(id));
	json_object_set_new(entry, "Config", layout_json(config_hex));
	json_object_set_new(entry, "RepoTags", json_deep_copy(tags));
	json_object_set_new(entry, "Layers", layers);
	json_array_append_new(list, entry);
}

void writer_add(struct writer *w, const json_t *config, const struct buf *text,
		const json_t *tags, json_t *annotations)
{
	const struct manifest_media *types = manifest_media(config);

	if (types != manifest_media(NULL))
		inform(
		    "the media types are Docker's: OCI's have no Healthcheck, OnBuild, "
		    "Shell and StopTimeout");
	char hex[DIGEST_HEX + 1];
	json_t *config_descriptor = put_text(w, text, types->config, hex);
	json_t *manifest = put_manifest(w, config, config_descriptor, types, annotations);

	if (w->index == NULL) {
		w->index = json_array();
		w->docker = json_array();
	}
	json_object_set_new(manifest, "platform", manifest_platform(config));
	list_oci(w->index, manifest, tags);
	list_docker(w->docker, config, hex, tags);
	json_decref(manifest);
}

void writer_index(struct writer *w, size_t docker, const json_t *tags)
{
	json_t *index = manifest_index(w->index),
	       *entry = json_array_get(w->docker, docker);
	char hex[DIGEST_HEX + 1];
	struct buf text = {0};

	json_write(index, &text);
	json_t *descriptor = put_text(w, &text, manifest_index_type, hex);
	json_decref(w->index);
	w->index = json_array();
	list_oci(w->index, descriptor, tags);

	json_object_set_new(entry, "RepoTags", json_deep_copy(tags));
	entry = json_incref(entry);
	json_array_clear(w->docker);
	json_array_append_new(w->docker, entry);
	json_decref(descriptor);
	json_decref(index);
	buf_release(&text);
}

void writer_list(struct writer *w)
{
	json_t *index = manifest_index(w->index), *layout = json_object();

	json_object_set_new(layout, "imageLayoutVersion", json_string("1.0.0"));
	put_document(w, "index.json", index);
	put_document(w, "oci-layout", layout);
	if (!w->is_oci)
		put_document(w, "manifest.json", json_incref(w->docker));
}

void writer_image(struct writer *w, const json_t *config, const struct buf *text,
		  const char *name, const char *tag, json_t *annotations)
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
	writer_add(w, config, text, tags, annotations);
	writer_list(w);
	json_decref(tags);
	buf_release(&reference);
	buf_release(&own);
}
