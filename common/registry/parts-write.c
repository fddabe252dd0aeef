#include "registry/parts.h"

#include "image/manifest.h"

#include <stdio.h>

/* A manifest of an image of which the archive has none. */
static json_t *new_manifest(const struct parts *p, const struct part *part)
{
	const struct manifest_media *media = manifest_media(part->image.config);
	const struct parts_blob *config = &p->blob[part->config];
	json_t *doc = json_object(), *layers = json_array();

	for (size_t i = 0; i < part->n; i++)
		json_array_append_new(layers, manifest_descriptor(media->layer, "", 0));
	json_object_set_new(doc, "schemaVersion", json_integer(2));
	json_object_set_new(doc, "mediaType", json_string(media->manifest));
	json_object_set_new(
	    doc, "config", manifest_descriptor(media->config, config->hex, config->size));
	json_object_set_new(doc, "layers", layers);
	return doc;
}

static void write_manifest(struct parts *p, struct part *part,
			   enum compress_format format)
{
	json_t *doc = part->manifest != NULL ? json_deep_copy(part->manifest)
					     : new_manifest(p, part);
	json_t *layers = json_object_get(doc, "layers");
	bool is_changed = part->manifest == NULL;
	struct buf type = {0};

	for (size_t i = 0; i < part->n; i++) {
		const struct parts_blob *b = &p->blob[part->layer[i]];
		json_t *d = json_array_get(layers, i);
		if (b->kind != PARTS_LAYER)
			continue;
		is_changed = true;
		buf_clear(&type);
		manifest_layer_type(json_string_at(d, "mediaType"), format, &type);
		manifest_refer(d, type.data, b->hex, b->size);
	}
	buf_clear(&part->text);
	if (is_changed)
		json_write(doc, &part->text);
	else
		buf_add(&part->text, part->old.data, part->old.len);
	digest_of(part->text.data, part->text.len, part->hex);
	json_decref(doc);
	buf_release(&type);
}

/* The descriptor of a part, without the names of the image in the archive. */
static json_t *part_descriptor(const struct part *part)
{
	json_t *d = json_deep_copy(part->descriptor);
	json_t *notes = json_object_get(d, "annotations");

	manifest_refer(d, part->type, part->hex, part->text.len);
	json_object_del(notes, manifest_name_key);
	json_object_del(notes, manifest_tag_key);
	if (notes != NULL && json_object_size(notes) == 0)
		json_object_del(d, "annotations");
	return d;
}

static void write_index(struct parts *p)
{
	json_t *list = json_array();
	json_t *doc =
	    p->document != NULL ? json_deep_copy(p->document) : manifest_index(list);

	for (size_t i = 0; i < p->n; i++)
		json_array_append_new(list, part_descriptor(&p->part[i]));
	buf_clear(&p->index);
	if (p->old.len > 0 && json_equal(list, p->leaves)) {
		buf_add(&p->index, p->old.data, p->old.len);
	} else {
		json_object_set(doc, "manifests", list);
		json_write(doc, &p->index);
	}
	if (p->index_type[0] == '\0')
		snprintf(p->index_type, sizeof p->index_type, "%s", manifest_index_type);
	digest_of(p->index.data, p->index.len, p->index_hex);
	json_decref(list);
	json_decref(doc);
}

void parts_write(struct parts *p, enum compress_format format)
{
	for (size_t i = 0; i < p->n; i++)
		write_manifest(p, &p->part[i], format);
	if (p->is_index)
		write_index(p);
}
