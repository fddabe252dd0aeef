#include "registry/parts.h"

#include "base/err.h"
#include "base/mem.h"
#include "image/layout.h"
#include "image/manifest.h"
#include "image/reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PARTS_MAX = 256 };

void parts_release(struct parts *p)
{
	for (size_t i = 0; i < p->n; i++) {
		image_release(&p->part[i].image);
		json_decref(p->part[i].manifest);
		buf_release(&p->part[i].old);
		buf_release(&p->part[i].text);
		free(p->part[i].layer);
	}
	free(p->part);
	free(p->blob);
	strset_release(&p->names);
	json_decref(p->document);
	json_decref(p->leaves);
	buf_release(&p->old);
	buf_release(&p->index);
	image_archive_release(&p->archive);
	*p = (struct parts){.archive.index = {.fd = -1, .spool = -1}};
}

/* --- descriptors of the archive --- */

/*
 * Appends to `leaves` the descriptors of all manifests below those of `list`. Documents
 * that are neither manifests nor indexes are left out.
 */
static int add_leaves(const struct image_archive *a, const json_t *list, int depth,
		      json_t *leaves, struct err *e)
{
	json_t *descriptor;
	size_t i;

	json_array_foreach(list, i, descriptor)
	{
		struct buf text = {0};
		if (!manifest_is_image(descriptor))
			continue;
		json_t *doc = image_archive_blob(a, descriptor, &text, e);
		const json_t *inner = json_object_get(doc, "manifests");
		int result = doc == NULL ? -1 : 0;
		if (inner != NULL && depth == MANIFEST_NESTING)
			result = err_set(e, "%s: indexes are nested too deep", a->file);
		else if (inner != NULL)
			result = add_leaves(a, inner, depth + 1, leaves, e);
		else if (doc != NULL)
			json_array_append(leaves, descriptor);
		json_decref(doc);
		buf_release(&text);
		if (result < 0)
			return -1;
	}
	return json_array_size(leaves) <= PARTS_MAX
		   ? 0
		   : err_set(e, "%s: more than %d manifests", a->file, PARTS_MAX);
}

/* Whether the descriptor of index.json has the wanted name and tag. */
static bool is_wanted(const struct image_choice *c, const json_t *tags)
{
	const char *text = json_string_value(json_array_get(tags, 0));

	if (c->name == NULL && c->tag == NULL)
		return true;
	if (text == NULL)
		return false;
	return reference_matches(text, c->name, c->tag) ||
	       (c->name == NULL && c->tag != NULL && strcmp(text, c->tag) == 0);
}

/*
 * The descriptors of index.json that have the wanted name, a new array. Only those of the
 * first such name.
 */
static json_t *list_wanted(struct image_archive *a)
{
	json_t *list = json_array(), *name = NULL, *entry;
	size_t i;

	bool was_oci = a->is_oci;
	a->is_oci = true;
	json_array_foreach(a->oci, i, entry)
	{
		json_t *tags = image_archive_tags(a, entry);
		if (name == NULL && is_wanted(a->choice, tags))
			name = json_incref(tags);
		if (name != NULL && json_equal(name, tags))
			json_array_append(list, entry);
		json_decref(tags);
	}
	a->is_oci = was_oci;
	json_decref(name);
	return list;
}

/* --- blobs --- */

/* Returns the index of a blob, which is added if it is new. `name` identifies it. */
static size_t add_blob(struct parts *p, const char *name, const struct parts_blob *b)
{
	size_t before = p->names.n;
	uint32_t i = strset_add(&p->names, name, strlen(name));

	if (p->names.n > before) {
		p->blob = mem_grow(p->blob, &p->cap, p->names.n, sizeof *p->blob);
		p->blob[i] = *b;
	}
	return i;
}

/* Finds the member of a blob, or returns NULL. */
static const struct unpack_place *find_member(const struct parts *p, const char *hex)
{
	char name[LAYOUT_BLOB];
	struct err unused;

	layout_blob(hex, name);
	return unpack_find(&p->archive.index, name, &unused);
}

/* The compression of a member, judged by its first bytes. */
static enum compress_format format_of(const struct parts *p,
				      const struct unpack_place *place)
{
	struct buf magic = {0};
	struct err unused;
	bool is_own;
	int fd = unpack_raw(&p->archive.index, place, &is_own, &unused);
	size_t want = place->size < COMPRESS_MAGIC ? (size_t)place->size : COMPRESS_MAGIC;

	if (fd < 0)
		return COMPRESS_OTHER;
	ssize_t n = pread(fd, buf_reserve(&magic, COMPRESS_MAGIC), want, place->offset);
	enum compress_format format =
	    n > 0 ? compress_detect(magic.data, (size_t)n) : COMPRESS_NONE;
	if (is_own)
		close(fd);
	buf_release(&magic);
	return format;
}

/*
 * Adds a blob by its descriptor. A layer is kept if it is what its media type states.
 * Sets *index to UINT32_MAX if it must be compressed.
 */
static int add_described(struct parts *p, const json_t *descriptor, struct parts_blob *b,
			 size_t *index, struct err *e)
{
	const char *type = json_string_at(descriptor, "mediaType");
	enum compress_format format =
	    type != NULL ? manifest_layer_format(type) : COMPRESS_OTHER;
	struct manifest_blob blob;
	char name[1 + DIGEST_HEX + 1];

	*index = SIZE_MAX;
	if (manifest_read(descriptor, &blob, e) < 0)
		return err_set(e, "%s: a descriptor without a digest or size",
			       p->archive.file);
	if (format == COMPRESS_NONE)
		return 0;
	b->place = find_member(p, blob.hex);
	if (b->place != NULL && b->place->size != blob.size)
		return err_set(e,
			       "%s: blob sha256:%s has another size than its descriptor",
			       p->archive.file, blob.hex);
	if (format == COMPRESS_OTHER)
		b->diff_id = NULL;
	else if (b->place != NULL && format_of(p, b->place) != format)
		return 0;
	b->kind = PARTS_BLOB;
	memcpy(b->hex, blob.hex, sizeof b->hex);
	b->size = blob.size;
	snprintf(name, sizeof name, "=%s", blob.hex);
	*index = add_blob(p, name, b);
	return 0;
}

/* Adds layer `i` of a part. */
static int add_layer(struct parts *p, struct part *part, size_t i, struct err *e)
{
	const json_t *layers = json_object_get(part->manifest, "layers");
	const struct image_layer *l =
	    part->image.config != NULL ? &part->image.layer[i] : NULL;
	struct parts_blob b = {.part = (size_t)(part - p->part), .layer = i};
	char name[1 + DIGEST_HEX + 1];
	size_t index = SIZE_MAX;

	if (l != NULL)
		b.diff_id = l->diff_id;
	if (layers != NULL &&
	    add_described(p, json_array_get(layers, i), &b, &index, e) < 0)
		return -1;
	if (index == SIZE_MAX && l == NULL)
		return err_set(e, "%s: a layer without a diff_id", p->archive.file);
	if (index == SIZE_MAX) {
		b.kind = PARTS_LAYER;
		b.place = l->place;
		snprintf(name, sizeof name, "%s", l->diff_id);
		index = add_blob(p, name, &b);
	}
	part->layer[i] = index;
	return 0;
}

static int add_config(struct parts *p, struct part *part, struct err *e)
{
	struct parts_blob b = {.kind = PARTS_CONFIG, .part = (size_t)(part - p->part)};
	char name[1 + DIGEST_HEX + 1];

	if (part->image.config == NULL)
		return add_described(p, json_object_get(part->manifest, "config"), &b,
				     &part->config, e);
	b.text = &part->image.text;
	b.size = b.text->len;
	memcpy(b.hex, part->image.id, sizeof b.hex);
	snprintf(name, sizeof name, "=%s", b.hex);
	part->config = add_blob(p, name, &b);
	return 0;
}

static int add_blobs(struct parts *p, struct part *part, struct err *e)
{
	part->n = part->image.config != NULL
		      ? part->image.n
		      : json_array_size(json_object_get(part->manifest, "layers"));
	part->layer = mem_zero(part->n, sizeof *part->layer);
	for (size_t i = 0; i < part->n; i++)
		if (add_layer(p, part, i, e) < 0)
			return -1;
	return add_config(p, part, e);
}

/* --- parts --- */

/* Reads the manifest of a descriptor. */
static int read_manifest(struct parts *p, struct part *part, json_t *descriptor,
			 struct err *e)
{
	const char *type = json_string_at(descriptor, "mediaType");

	buf_clear(&part->old);
	json_decref(part->manifest);
	part->manifest = image_archive_blob(&p->archive, descriptor, &part->old, e);
	if (part->manifest == NULL)
		return -1;
	if (json_string_at(part->manifest, "mediaType") != NULL)
		type = json_string_at(part->manifest, "mediaType");
	if (type == NULL)
		type = manifest_media(NULL)->manifest;
	snprintf(part->type, sizeof part->type, "%s", type);
	return 0;
}

/* Finds the OCI manifest of the image, which may come from Docker's manifest.json. */
static void find_manifest(struct parts *p, struct part *part)
{
	const struct image *im = &part->image;
	struct err unused;
	json_t *descriptor = image_descriptor(im);

	if (descriptor == NULL || read_manifest(p, part, descriptor, &unused) < 0)
		snprintf(part->type, sizeof part->type, "%s",
			 manifest_media(im->config)->manifest);
	json_decref(descriptor);
}

/* Whether the configuration of a manifest is that of an image. */
static bool is_image(const json_t *manifest)
{
	struct manifest m;
	struct buf text = {0};
	struct err unused;

	json_write(manifest, &text);
	bool result = manifest_parse(&m, text.data, text.len, NULL, &unused) == 0;
	manifest_release(&m);
	buf_release(&text);
	return result;
}

static int open_one(struct parts *p, struct err *e)
{
	struct part *part = p->part;

	if (image_open_in(&part->image, &p->archive, e) < 0)
		return -1;
	find_manifest(p, part);
	return add_blobs(p, part, e);
}

/* Opens all manifests of an index. */
static int open_all(struct parts *p, struct err *e)
{
	json_decref(p->archive.images);
	p->archive.images = json_incref(p->leaves);
	p->archive.is_oci = true;
	for (size_t i = 0; i < p->n; i++) {
		struct part *part = &p->part[i];
		part->descriptor = json_array_get(p->leaves, i);
		if (read_manifest(p, part, part->descriptor, e) < 0)
			return -1;
		if (is_image(part->manifest) &&
		    image_open_at(&part->image, &p->archive, i, e) < 0)
			return -1;
		if (add_blobs(p, part, e) < 0)
			return -1;
	}
	return 0;
}

/*
 * Keeps the archive's index if all of the parts are directly in it. Then its text may
 * stay as it is.
 */
static int read_index(struct parts *p, const json_t *wanted, struct err *e)
{
	const json_t *only = json_array_get(wanted, 0);
	const char *type = json_string_at(only, "mediaType");

	if (json_array_size(wanted) != 1)
		return 0;
	p->document = image_archive_blob(&p->archive, only, &p->old, e);
	if (p->document == NULL)
		return -1;
	if (json_string_at(p->document, "mediaType") != NULL)
		type = json_string_at(p->document, "mediaType");
	if (json_equal(json_object_get(p->document, "manifests"), p->leaves))
		snprintf(p->index_type, sizeof p->index_type, "%s",
			 type != NULL ? type : manifest_index_type);
	else
		buf_clear(&p->old);
	return 0;
}

int parts_open(struct parts *p, const struct image_choice *choice, struct err *e)
{
	int result = -1;

	*p = (struct parts){.archive.index = {.fd = -1, .spool = -1}};
	if (image_archive_open(&p->archive, choice->from, choice, e) < 0)
		return -1;
	json_t *wanted = list_wanted(&p->archive);
	p->is_index = !choice->has_arch && !choice->has_os &&
		      image_archive_has_platforms(&p->archive, wanted);
	p->leaves = json_array();
	if (!p->is_index) {
		p->n = 1;
		p->part = mem_zero(1, sizeof *p->part);
		result = open_one(p, e);
	} else if (add_leaves(&p->archive, wanted, 0, p->leaves, e) == 0 &&
		   read_index(p, wanted, e) == 0) {
		p->n = json_array_size(p->leaves);
		p->part = mem_zero(p->n, sizeof *p->part);
		result = open_all(p, e);
	}
	json_decref(wanted);
	return result;
}
