#include "image.h"

#include "err.h"
#include "mem.h"
#include "platform.h"
#include "reference.h"

#include <stdlib.h>
#include <string.h>

enum { NESTED_MAX = 4, LAYERS_MAX = 4096 };

void image_archive_release(struct image_archive *a)
{
	unpack_index_release(&a->index);
	json_decref(a->images);
	*a = (struct image_archive){0};
}

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

/* --- finding documents --- */

/*
 * A JSON document of the archive; `hex`, if not NULL, is what its digest must be. Its
 * bytes are appended to `text`.
 */
static json_t *get_text(const struct image_archive *a, const char *member,
			const char *hex, struct buf *text, struct err *e)
{
	char got[DIGEST_HEX + 1];
	struct err why;

	const struct unpack_place *p = unpack_find(&a->index, member, &why);
	if (p == NULL || unpack_get(&a->index, p, text, JSON_LIMIT, &why) < 0) {
		err_set(e, "%s: %s", a->file, why.text);
		return NULL;
	}
	digest_of(text->data, text->len, got);
	if (hex != NULL && strcmp(got, hex) != 0) {
		err_set(e,
			"%s: member '%s' has the digest %s, not the one it is named by",
			a->file, member, got);
		return NULL;
	}
	json_t *doc = json_parse(text->data, text->len, member, &why);
	if (doc == NULL)
		err_set(e, "%s: %s", a->file, why.text);
	return doc;
}

static json_t *get_json(const struct image_archive *a, const char *member, struct err *e)
{
	struct buf text = {0};
	json_t *doc = get_text(a, member, NULL, &text, e);

	buf_release(&text);
	return doc;
}

static bool has_member(const struct image_archive *a, const char *name)
{
	return names_find(&a->index.names, name, strlen(name)) != NAMES_NONE;
}

/* What a blob of this digest is called in an OCI layout. */
static void blob_name(const char *hex, struct buf *out)
{
	buf_clear(out);
	buf_addf(out, "blobs/sha256/%s", hex);
}

/* The document of a descriptor; its bytes are appended to `text`. */
static json_t *get_blob(const struct image_archive *a, const json_t *descriptor,
			struct buf *text, struct err *e)
{
	const char *digest = json_string_at(descriptor, "digest");
	const char *hex = digest != NULL ? digest_strip(digest) : NULL;
	struct buf name = {0};

	if (hex == NULL) {
		err_set(e, "%s: a descriptor without a sha256 digest", a->file);
		return NULL;
	}
	blob_name(hex, &name);
	json_t *doc = get_text(a, name.data, hex, text, e);
	buf_release(&name);
	return doc;
}

/* Adds layer `member`, the next one from the bottom. */
static int add_layer(struct image *im, const char *member, struct err *e)
{
	struct err why;
	const struct unpack_place *p = unpack_find(&im->archive->index, member, &why);

	if (p == NULL)
		return err_set(e, "%s: a layer is missing: %s", im->file, why.text);
	im->layer[im->n++].place = p;
	return 0;
}

/*
 * Takes over the configuration, whose bytes are im->text, and makes room for `n` layers,
 * of which it must know.
 */
static int set_config(struct image *im, json_t *config, size_t n, struct err *e)
{
	char(*diff_ids)[DIGEST_HEX + 1] = NULL;
	struct err why;

	im->config = config;
	digest_of(im->text.data, im->text.len, im->id);
	int64_t known = image_diff_ids(config, &diff_ids, &why);
	if (known < 0)
		return err_set(e, "%s: %s", im->file, why.text);
	if ((size_t)known != n) {
		free(diff_ids);
		return err_set(e, "%s: the image has %zu layers but %zu diff_ids",
			       im->file, n, (size_t)known);
	}
	im->layer = mem_zero(n, sizeof *im->layer);
	for (size_t i = 0; i < n; i++)
		memcpy(im->layer[i].diff_id, diff_ids[i], DIGEST_HEX + 1);
	free(diff_ids);
	return 0;
}

/* --- Docker's archives --- */

/* The digest in "HEX.json" or "blobs/sha256/HEX", or NULL if the name tells none. */
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
	json_t *config =
	    get_text(im->archive, member, digest_in_name(member, hex), &im->text, e);
	if (config == NULL || set_config(im, config, json_array_size(layers), e) < 0)
		return -1;
	json_array_foreach(layers, i, layer)
	{
		if (!json_is_string(layer))
			return err_set(e,
				       "%s: manifest.json has a layer that is no string",
				       im->file);
		if (add_layer(im, json_string_value(layer), e) < 0)
			return -1;
	}
	return 0;
}

static int read_manifest(struct image_archive *a, struct err *e)
{
	size_t i;
	json_t *entry;

	a->images = get_json(a, "manifest.json", e);
	if (a->images == NULL)
		return -1;
	if (json_array_size(a->images) == 0)
		return err_set(e, "%s: manifest.json names no image", a->file);
	json_array_foreach(a->images, i, entry)
	{
		if (!json_is_object(entry))
			return err_set(e,
				       "%s: manifest.json has an image that is no object",
				       a->file);
	}
	return 0;
}

/* --- OCI image layouts --- */

static bool is_index(const json_t *doc)
{
	return json_is_array(json_object_get(doc, "manifests"));
}

static bool is_platform(const json_t *descriptor, const struct platform *want)
{
	const json_t *p = json_object_get(descriptor, "platform");
	const char *os = json_string_at(p, "os"),
		   *arch = json_string_at(p, "architecture");
	const char *variant = json_string_at(p, "variant");

	if (os == NULL || arch == NULL || want == NULL)
		return true;
	return strcmp(os, "linux") == 0 && strcmp(arch, want->arch) == 0 &&
	       (want->variant[0] == '\0' || variant == NULL ||
		strcmp(variant, want->variant) == 0);
}

/* Whether the descriptor is of something that could be, or hold, an image. */
static bool is_image_type(const json_t *descriptor)
{
	static const char *const types[] = {
	    "application/vnd.oci.image.manifest.v1+json",
	    "application/vnd.oci.image.index.v1+json",
	    "application/vnd.docker.distribution.manifest.v2+json",
	    "application/vnd.docker.distribution.manifest.list.v2+json",
	};
	const char *type = json_string_at(descriptor, "mediaType");

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (type == NULL || strcmp(type, types[i]) == 0)
			return true;
	return false;
}

/* The name that a descriptor's annotations give, as Docker would write it, or NULL. */
static const char *annotated_name(const json_t *descriptor)
{
	const json_t *notes = json_object_get(descriptor, "annotations");
	const char *full = json_string_at(notes, "io.containerd.image.name");

	return full != NULL ? full
			    : json_string_at(notes, "org.opencontainers.image.ref.name");
}

static int open_oci_image(struct image *im, const json_t *manifest, struct err *e)
{
	const json_t *layers = json_object_get(manifest, "layers");
	struct buf name = {0};
	size_t i;
	json_t *layer;

	if (!json_is_array(layers))
		return err_set(e, "%s: an image manifest without layers", im->file);
	json_t *config =
	    get_blob(im->archive, json_object_get(manifest, "config"), &im->text, e);
	if (config == NULL || set_config(im, config, json_array_size(layers), e) < 0)
		return -1;
	json_array_foreach(layers, i, layer)
	{
		const char *digest = json_string_at(layer, "digest");
		const char *hex = digest != NULL ? digest_strip(digest) : NULL;
		if (hex == NULL)
			return err_set(e, "%s: a layer without a sha256 digest",
				       im->file);
		blob_name(hex, &name);
		int result = add_layer(im, name.data, e);
		buf_release(&name);
		if (result < 0)
			return -1;
	}
	return 0;
}

/* Goes down from a descriptor to the first image of the platform. */
static int open_descriptor(struct image *im, const json_t *descriptor,
			   const struct platform *platform, int depth, struct err *e)
{
	struct buf text = {0};
	json_t *doc = get_blob(im->archive, descriptor, &text, e), *child;
	int result = -1;
	size_t i;

	buf_release(&text);
	if (doc == NULL)
		return -1;
	if (json_object_get(doc, "layers") != NULL && is_index(doc)) {
		err_set(e, "%s: a document that is both a manifest and an index",
			im->file);
	} else if (!is_index(doc)) {
		result = open_oci_image(im, doc, e);
	} else if (depth >= NESTED_MAX) {
		err_set(e, "%s: indexes are nested too deep", im->file);
	} else {
		err_set(e, "%s: no image for linux/%s in it", im->file,
			platform != NULL ? platform->arch : "");
		json_array_foreach(json_object_get(doc, "manifests"), i, child)
		{
			if (is_image_type(child) && is_platform(child, platform)) {
				result =
				    open_descriptor(im, child, platform, depth + 1, e);
				break;
			}
		}
	}
	json_decref(doc);
	return result;
}

static void add_name(struct names *s, const json_t *descriptor)
{
	const char *name = annotated_name(descriptor);

	names_add(s, name != NULL ? name : "", name != NULL ? strlen(name) : 0);
}

static bool has_name(const struct names *s, const json_t *descriptor)
{
	const char *name = annotated_name(descriptor);

	return names_find(s, name != NULL ? name : "", name != NULL ? strlen(name) : 0) !=
	       NAMES_NONE;
}

/* The descriptors of index.json that count, as image_archive_open() says. */
static json_t *pick_images(const json_t *index, const struct platform *platform)
{
	const json_t *all = json_object_get(index, "manifests");
	json_t *images = json_array(), *descriptor;
	struct names here = {0}; /* the names of images for the platform */
	size_t i;

	json_array_foreach(all, i, descriptor)
	{
		if (is_image_type(descriptor) && is_platform(descriptor, platform))
			add_name(&here, descriptor);
	}
	json_array_foreach(all, i, descriptor)
	{
		if (is_image_type(descriptor) &&
		    (is_platform(descriptor, platform) || !has_name(&here, descriptor)))
			json_array_append(images, descriptor);
	}
	names_release(&here);
	return images;
}

static int read_index(struct image_archive *a, const struct platform *platform,
		      struct err *e)
{
	json_t *index = get_json(a, "index.json", e);

	if (index == NULL)
		return -1;
	a->is_oci = true;
	a->images = pick_images(index, platform);
	json_decref(index);
	return 0;
}

int image_archive_open(struct image_archive *a, const char *file,
		       const struct platform *platform, struct err *e)
{
	*a = (struct image_archive){.file = strcmp(file, "-") == 0 ? "stdin" : file};
	if (unpack_index_open(&a->index, file, e) < 0)
		return -1;
	if (has_member(a, "manifest.json"))
		return read_manifest(a, e);
	if (has_member(a, "index.json"))
		return read_index(a, platform, e);
	return err_set(e, "%s: not an image, it has neither manifest.json nor index.json",
		       a->file);
}

/* --- choosing one of several --- */

/* The references of number `i`, a new array. */
static json_t *tags_of(const struct image_archive *a, size_t i)
{
	const json_t *entry = json_array_get(a->images, i);
	json_t *list = json_array(), *tag;
	size_t at;

	if (a->is_oci && annotated_name(entry) != NULL)
		json_array_append_new(list, json_string(annotated_name(entry)));
	if (a->is_oci)
		return list;
	json_array_foreach(json_object_get(entry, "RepoTags"), at, tag)
	{
		if (json_is_string(tag))
			json_array_append(list, tag);
	}
	return list;
}

int image_open_at(struct image *im, const struct image_archive *a, size_t i,
		  const struct platform *platform, struct err *e)
{
	const json_t *entry = json_array_get(a->images, i);

	*im = (struct image){.archive = a, .file = a->file, .tags = tags_of(a, i)};
	return a->is_oci ? open_descriptor(im, entry, platform, 1, e)
			 : open_docker_image(im, entry, e);
}

/* Whether one of the references is the wanted one. An image without any has no name. */
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

/* An OCI name may be no more than the tag: "latest". */
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
		buf_addstr(out, " (one without a name)");
}

/* The number of the first image that fits, or -1 and what there is instead. */
static int64_t choose(const struct image_archive *a, const char *name, const char *tag,
		      const struct platform *platform, struct err *e)
{
	struct buf list = {0};
	int64_t chosen = -1;

	for (size_t i = 0; i < json_array_size(a->images) && chosen < 0; i++) {
		json_t *tags = tags_of(a, i);
		bool fits = a->is_oci
				? is_wanted_oci(tags, name, tag) &&
				      is_platform(json_array_get(a->images, i), platform)
				: is_wanted(tags, name, tag);
		if (fits)
			chosen = (int64_t)i;
		else
			list_tags(tags, &list);
		json_decref(tags);
	}
	if (chosen < 0)
		err_set(e, "%s: no image %s:%s in it; it has%s", a->file,
			name != NULL ? name : "(any name)",
			tag != NULL ? tag : "(any tag)",
			list.data != NULL ? list.data : " none");
	buf_release(&list);
	return chosen;
}

int image_open(struct image *im, const char *file, const char *name, const char *tag,
	       const struct platform *platform, struct err *e)
{
	struct image_archive *a = mem_zero(1, sizeof *a);
	int64_t i = -1;

	*im = (struct image){.own = a};
	if (image_archive_open(a, file, platform, e) == 0)
		i = choose(a, name, tag, platform, e);
	if (i < 0)
		return -1;
	int result = image_open_at(im, a, (size_t)i, platform, e);
	im->own = a;
	return result;
}
