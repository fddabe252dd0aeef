#include "image/image.h"

#include "base/err.h"
#include "base/mem.h"
#include "image/layout.h"
#include "image/manifest.h"
#include "image/reference.h"

#include <stdlib.h>
#include <string.h>

enum { LAYERS_MAX = 4096 };

void image_release(struct image *im)
{
	if (im->own != NULL)
		image_archive_release(im->own);
	free(im->own);
	buf_release(&im->text);
	json_decref(im->config);
	json_decref(im->tags);
	free(im->layer);
	*im = (struct image){0};
}

int64_t image_diff_ids(const json_t *config, char (**diff_ids)[DIGEST_HEX + 1],
		       struct err *e)
{
	const json_t *ids =
	    json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	size_t n = json_array_size(ids);

	*diff_ids = NULL;
	if (!json_is_object(config) || !json_is_array(ids))
		return err_set(e, "the image's configuration has no rootfs.diff_ids");
	if (n > LAYERS_MAX)
		return err_set(e, "more than %d layers", LAYERS_MAX);
	char(*out)[DIGEST_HEX + 1] = mem_zero(n, sizeof *out);
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(ids, i));
		const char *hex = text != NULL ? digest_strip(text) : NULL;
		if (hex == NULL) {
			free(out);
			return err_set(
			    e, "diff_id %zu of the image is not a sha256 digest", i);
		}
		memcpy(out[i], hex, DIGEST_HEX + 1);
	}
	*diff_ids = out;
	return (int64_t)n;
}

/* --- layers --- */

int image_lacks(const struct image *im, size_t i, struct err *e)
{
	return err_set(e, "%s: a thin archive, without layer %zu, sha256:%s", im->file,
		       i + 1, im->layer[i].diff_id);
}

/*
 * The reason why the image cannot be used without layer `i`, the archive's entry
 * `member`. If there is no such entry and the manifest describes the layer, the archive
 * is thin.
 */
static int lacks_layer(const struct image *im, size_t i, const char *member,
		       const struct err *why, struct err *e)
{
	json_t *manifest =
	    image_archive_has(im->archive, member) ? NULL : image_descriptor(im);

	if (manifest != NULL)
		image_lacks(im, i, e);
	else
		err_set(e, "%s: a layer is missing: %s", im->file, why->text);
	json_decref(manifest);
	return -1;
}

/* Finds layer `i`, the archive's entry `member`. */
static int find_layer(struct image *im, size_t i, const char *member, struct err *e)
{
	struct err why;
	const struct unpack_place *p = unpack_find(&im->archive->index, member, &why);

	/* A member that is not a file is an error even if the layer may be absent. */
	if (p == NULL &&
	    (!im->archive->choice->may_lack || image_archive_has(im->archive, member)))
		return lacks_layer(im, i, member, &why, e);
	im->layer[i].place = p;
	return 0;
}

/*
 * Takes ownership of the configuration, whose bytes are im->text. Allocates `n` layers
 * and fails if the configuration has another number of diff_ids.
 */
static int set_config(struct image *im, json_t *config, size_t n, struct err *e)
{
	char(*diff_ids)[DIGEST_HEX + 1] = NULL;

	im->config = config;
	digest_of(im->text.data, im->text.len, im->id);
	int64_t known = image_diff_ids(config, &diff_ids, e);
	if (known < 0)
		return err_prefix(e, "%s", im->file);
	if ((size_t)known != n) {
		free(diff_ids);
		return err_set(e, "%s: the image has %zu layers but %zu diff_ids",
			       im->file, n, (size_t)known);
	}
	im->n = n;
	im->layer = mem_zero(n, sizeof *im->layer);
	for (size_t i = 0; i < n; i++)
		memcpy(im->layer[i].diff_id, diff_ids[i], DIGEST_HEX + 1);
	free(diff_ids);
	return 0;
}

/* --- Docker's archives --- */

/* The digest in "HEX.json" or "blobs/sha256/HEX", or NULL if the name has no digest. */
static const char *digest_in_name(const char *member, char hex[DIGEST_HEX + 1])
{
	const char *slash = strrchr(member, '/'),
		   *base = slash != NULL ? slash + 1 : member;
	size_t len = strspn(base, "0123456789abcdef");

	if (len != DIGEST_HEX || (base[len] != '\0' && strcmp(base + len, ".json") != 0))
		return NULL;
	memcpy(hex, base, DIGEST_HEX);
	hex[DIGEST_HEX] = '\0';
	return hex;
}

static int open_docker_image(struct image *im, const json_t *entry, struct err *e)
{
	const char *member = json_string_at(entry, "Config");
	const json_t *layers = json_object_get(entry, "Layers");
	char hex[DIGEST_HEX + 1];
	size_t i;
	json_t *layer;

	if (member == NULL ||
	    (layers != NULL && !json_is_array(layers) && !json_is_null(layers)))
		return err_set(e,
			       "%s: manifest.json has an image without Config or Layers",
			       im->file);
	json_t *config = image_archive_text(im->archive, member,
					    digest_in_name(member, hex), &im->text, e);
	if (config == NULL || set_config(im, config, json_array_size(layers), e) < 0)
		return -1;
	json_array_foreach(layers, i, layer)
	{
		if (!json_is_string(layer))
			return err_set(
			    e, "%s: manifest.json has a layer that is not a string",
			    im->file);
		if (find_layer(im, i, json_string_value(layer), e) < 0)
			return -1;
	}
	return 0;
}

/* --- OCI image layouts --- */

static int open_oci_image(struct image *im, const json_t *manifest, struct err *e)
{
	const json_t *layers = json_object_get(manifest, "layers");
	char name[LAYOUT_BLOB];
	size_t i;
	json_t *layer;

	if (!json_is_array(layers))
		return err_set(e, "%s: an image manifest without layers", im->file);
	json_t *config = image_archive_blob(
	    im->archive, json_object_get(manifest, "config"), &im->text, e);
	if (config == NULL || set_config(im, config, json_array_size(layers), e) < 0)
		return -1;
	json_array_foreach(layers, i, layer)
	{
		const char *hex = manifest_hex(layer);
		if (hex == NULL)
			return err_set(e, "%s: a layer without a sha256 digest",
				       im->file);
		layout_blob(hex, name);
		if (find_layer(im, i, name, e) < 0)
			return -1;
	}
	return 0;
}

static int open_descriptor(struct image *im, const json_t *descriptor, struct err *e)
{
	json_t *manifest = image_archive_manifest(im->archive, descriptor, e);
	int result = manifest != NULL ? open_oci_image(im, manifest, e) : -1;

	json_decref(manifest);
	return result;
}

/* --- choosing an image --- */

int image_open_at(struct image *im, const struct image_archive *a, size_t i,
		  struct err *e)
{
	const json_t *entry = json_array_get(a->images, i);

	*im = (struct image){
	    .archive = a, .file = a->file, .tags = image_archive_tags(a, entry)};
	return a->is_oci ? open_descriptor(im, entry, e)
			 : open_docker_image(im, entry, e);
}

/*
 * Whether a reference matches the wanted name and tag. An image without a reference
 * matches only if neither is wanted.
 */
static bool is_wanted(const json_t *tags, const char *name, const char *tag)
{
	size_t i;
	json_t *value;

	if (name == NULL && tag == NULL)
		return true;
	json_array_foreach(tags, i, value)
	{
		const char *text = json_string_value(value);
		if (text != NULL && reference_matches(text, name, tag))
			return true;
	}
	return false;
}

/* The same for an OCI image layout, where a reference may be the tag alone: "latest". */
static bool is_wanted_oci(const json_t *tags, const char *name, const char *tag)
{
	const char *only = json_string_value(json_array_get(tags, 0));

	if (is_wanted(tags, name, tag))
		return true;
	return name == NULL && only != NULL && tag != NULL && strcmp(only, tag) == 0;
}

static void list_tags(const json_t *tags, struct buf *out)
{
	size_t i;
	json_t *value;

	json_array_foreach(tags, i, value) buf_addf(out, " %s", json_string_value(value));
	if (json_array_size(tags) == 0)
		buf_addstr(out, " (an image without a name)");
}

/* Whether the descriptor is of an image for the platform, or has no platform. */
static bool is_for(json_t *descriptor, const struct image_choice *c)
{
	json_t *list = json_array();

	json_array_append(list, descriptor);
	bool result = manifest_find(list, &c->platform, c->os) != NULL;
	json_decref(list);
	return result;
}

/*
 * The index of the first image that fits. Otherwise -1, and the reason lists the images.
 */
static int64_t choose(const struct image_archive *a, struct err *e)
{
	const struct image_choice *c = a->choice;
	struct buf list = {0};
	int64_t chosen = -1;

	for (size_t i = 0; i < json_array_size(a->images) && chosen < 0; i++) {
		json_t *entry = json_array_get(a->images, i),
		       *tags = image_archive_tags(a, entry);
		bool fits = a->is_oci
				? is_wanted_oci(tags, c->name, c->tag) && is_for(entry, c)
				: is_wanted(tags, c->name, c->tag);
		if (fits)
			chosen = (int64_t)i;
		else
			list_tags(tags, &list);
		json_decref(tags);
	}
	if (chosen < 0)
		err_set(e, "%s: no image %s:%s in it; it has%s", a->file,
			c->name != NULL ? c->name : "(any name)",
			c->tag != NULL ? c->tag : "(any tag)",
			list.data != NULL ? list.data : " none");
	buf_release(&list);
	return chosen;
}

static int open_chosen(struct image *im, const struct image_archive *a, struct err *e)
{
	int64_t i = choose(a, e);

	return i < 0 ? -1 : image_open_at(im, a, (size_t)i, e);
}

/* Whether index.json has the wanted image for several platforms. */
static bool has_platforms(const struct image_archive *a)
{
	const struct image_choice *c = a->choice;
	json_t *list = json_array(), *entry;
	size_t i;

	json_array_foreach(a->oci, i, entry)
	{
		json_t *tags = image_archive_tags(a, entry);
		if (is_wanted_oci(tags, c->name, c->tag))
			json_array_append(list, entry);
		json_decref(tags);
	}
	bool result = image_archive_has_platforms(a, list);
	json_decref(list);
	return result;
}

int image_open_in(struct image *im, struct image_archive *a, struct err *e)
{
	bool is_free = !a->choice->has_arch && !a->choice->has_os;

	*im = (struct image){0};
	if (a->is_several)
		image_archive_use(a, true);
	int result = open_chosen(im, a, e);
	if (result < 0 && a->is_several && (is_free || !has_platforms(a))) {
		image_release(im);
		image_archive_use(a, false);
		result = open_chosen(im, a, e);
	}
	return result;
}

int image_open(struct image *im, const struct image_choice *choice, struct err *e)
{
	struct image_archive *a = mem_zero(1, sizeof *a);
	int result = image_archive_open(a, choice->from, choice, e);

	*im = (struct image){0};
	if (result == 0)
		result = image_open_in(im, a, e);
	im->own = a;
	return result;
}
