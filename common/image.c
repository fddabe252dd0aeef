#include "image.h"

#include "err.h"
#include "io.h"
#include "mem.h"
#include "platform.h"
#include "reference.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NESTED_MAX = 4, LAYERS_MAX = 4096, READ_SIZE = 64 * 1024 };

void image_release(struct image *im)
{
	unpack_index_release(&im->archive);
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

/* A JSON document of the archive; `hex`, if not NULL, is what its digest must be. */
static json_t *get_json(struct image *im, const char *member, const char *hex,
			struct err *e)
{
	struct buf text = {0};
	char got[DIGEST_HEX + 1];
	struct err why;
	json_t *doc = NULL;

	const struct unpack_place *p = unpack_find(&im->archive, member, &why);
	if (p == NULL || unpack_get(&im->archive, p, &text, JSON_LIMIT, &why) < 0) {
		err_set(e, "%s: %s", im->file, why.text);
		goto out;
	}
	digest_of(text.data, text.len, got);
	if (hex != NULL && strcmp(got, hex) != 0) {
		err_set(e,
			"%s: member '%s' has the digest %s, not the one it is named by",
			im->file, member, got);
		goto out;
	}
	doc = json_parse(text.data, text.len, member, &why);
	if (doc == NULL)
		err_set(e, "%s: %s", im->file, why.text);
out:
	buf_release(&text);
	return doc;
}

static bool has_member(const struct image *im, const char *name)
{
	return names_find(&im->archive.names, name, strlen(name)) != NAMES_NONE;
}

/* What a blob of this digest is called in an OCI layout. */
static void blob_name(const char *hex, struct buf *out)
{
	buf_clear(out);
	buf_addf(out, "blobs/sha256/%s", hex);
}

static json_t *get_blob(struct image *im, const json_t *descriptor, struct err *e)
{
	const char *digest = json_string_at(descriptor, "digest");
	const char *hex = digest != NULL ? digest_strip(digest) : NULL;
	struct buf name = {0};

	if (hex == NULL) {
		err_set(e, "%s: a descriptor without a sha256 digest", im->file);
		return NULL;
	}
	blob_name(hex, &name);
	json_t *doc = get_json(im, name.data, hex, e);
	buf_release(&name);
	return doc;
}

/* Adds layer `member`, the next one from the bottom. */
static int add_layer(struct image *im, const char *member, struct err *e)
{
	struct err why;
	const struct unpack_place *p = unpack_find(&im->archive, member, &why);

	if (p == NULL)
		return err_set(e, "%s: a layer is missing: %s", im->file, why.text);
	im->layer[im->n++].place = p;
	return 0;
}

/* Takes over the configuration and makes room for `n` layers, of which it must know. */
static int set_config(struct image *im, json_t *config, size_t n, struct err *e)
{
	char(*diff_ids)[DIGEST_HEX + 1] = NULL;
	struct err why;

	im->config = config;
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

/* --- choosing one of several --- */

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

static void list_tags(const json_t *tags, struct buf *out)
{
	size_t i;
	json_t *value;

	json_array_foreach(tags, i, value) buf_addf(out, " %s", json_string_value(value));
	if (json_array_size(tags) == 0)
		buf_addstr(out, " (one without a name)");
}

static int not_there(const struct image *im, const char *name, const char *tag,
		     const struct buf *list, struct err *e)
{
	return err_set(e, "%s: no image %s:%s in it; it has%s", im->file,
		       name != NULL ? name : "(any name)",
		       tag != NULL ? tag : "(any tag)",
		       list->data != NULL ? list->data : " none");
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
	json_t *config = get_json(im, member, digest_in_name(member, hex), e);
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

static int open_docker(struct image *im, const char *name, const char *tag, struct err *e)
{
	json_t *manifest = get_json(im, "manifest.json", NULL, e), *entry;
	struct buf list = {0};
	int result = -1;
	size_t i;

	if (manifest == NULL)
		return -1;
	if (json_array_size(manifest) == 0) {
		err_set(e, "%s: manifest.json names no image", im->file);
		goto out;
	}
	json_array_foreach(manifest, i, entry)
	{
		const json_t *tags = json_object_get(entry, "RepoTags");
		if (!json_is_object(entry)) {
			err_set(e, "%s: manifest.json has an image that is no object",
				im->file);
			goto out;
		}
		if (is_wanted(tags, name, tag)) {
			im->tags =
			    json_is_array(tags) ? json_deep_copy(tags) : json_array();
			result = open_docker_image(im, entry, e);
			goto out;
		}
		list_tags(tags, &list);
	}
	not_there(im, name, tag, &list, e);
out:
	buf_release(&list);
	json_decref(manifest);
	return result;
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

/* The references that a descriptor's annotations give, as Docker would write them. */
static json_t *annotated_tags(const json_t *descriptor)
{
	const json_t *notes = json_object_get(descriptor, "annotations");
	const char *full = json_string_at(notes, "io.containerd.image.name");
	const char *ref = json_string_at(notes, "org.opencontainers.image.ref.name");
	const char *text = full != NULL ? full : ref;
	json_t *tags = json_array();

	if (text != NULL)
		json_array_append_new(tags, json_string(text));
	return tags;
}

static int open_oci_image(struct image *im, const json_t *manifest, struct err *e)
{
	const json_t *layers = json_object_get(manifest, "layers");
	struct buf name = {0};
	size_t i;
	json_t *layer;

	if (!json_is_array(layers))
		return err_set(e, "%s: an image manifest without layers", im->file);
	json_t *config = get_blob(im, json_object_get(manifest, "config"), e);
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
	json_t *doc = get_blob(im, descriptor, e), *child;
	int result = -1;
	size_t i;

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

/* An OCI name may be no more than the tag: "latest". */
static bool is_wanted_oci(const json_t *tags, const char *name, const char *tag)
{
	const char *only = json_string_value(json_array_get(tags, 0));

	if (is_wanted(tags, name, tag))
		return true;
	return name == NULL && only != NULL && tag != NULL && strcmp(only, tag) == 0;
}

static int open_oci(struct image *im, const char *name, const char *tag,
		    const struct platform *platform, struct err *e)
{
	json_t *index = get_json(im, "index.json", NULL, e), *descriptor;
	struct buf list = {0};
	int result = -1;
	size_t i;

	if (index == NULL)
		return -1;
	json_array_foreach(json_object_get(index, "manifests"), i, descriptor)
	{
		json_t *tags = annotated_tags(descriptor);
		bool wanted = is_image_type(descriptor) &&
			      is_wanted_oci(tags, name, tag) &&
			      is_platform(descriptor, platform);
		if (wanted) {
			im->tags = tags;
			result = open_descriptor(im, descriptor, platform, 1, e);
			goto out;
		}
		list_tags(tags, &list);
		json_decref(tags);
	}
	not_there(im, name, tag, &list, e);
out:
	buf_release(&list);
	json_decref(index);
	return result;
}

int image_open(struct image *im, const char *file, const char *name, const char *tag,
	       const struct platform *platform, struct err *e)
{
	*im = (struct image){.file = strcmp(file, "-") == 0 ? "stdin" : file};
	if (unpack_index_open(&im->archive, file, e) < 0)
		return -1;
	if (has_member(im, "manifest.json"))
		return open_docker(im, name, tag, e);
	if (has_member(im, "index.json"))
		return open_oci(im, name, tag, platform, e);
	return err_set(e, "%s: not an image, it has neither manifest.json nor index.json",
		       im->file);
}

/* --- layers --- */

int image_layer_open(const struct image *im, size_t i, struct image_bytes *b,
		     struct err *e)
{
	struct err why;

	b->fd = unpack_plain(&im->archive, im->layer[i].place, &b->offset, &b->size,
			     &b->is_own, &why);
	if (b->fd < 0)
		return err_set(e, "%s: layer %zu: %s", im->file, i + 1, why.text);
	return 0;
}

void image_layer_close(struct image_bytes *b)
{
	if (b->is_own)
		close(b->fd);
}

int image_layer_write(const struct image *im, size_t i, const struct image_bytes *b,
		      int out, struct err *e)
{
	char *block = mem_zero(1, READ_SIZE), hex[DIGEST_HEX + 1];
	struct digest digest;
	uint64_t left = b->size;
	off_t at = b->offset;
	int result = 0;

	digest_init(&digest);
	while (left > 0 && result == 0) {
		size_t want = left < READ_SIZE ? (size_t)left : READ_SIZE;
		ssize_t n = pread(b->fd, block, want, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			result = err_set(e, "%s: layer %zu is cut off", im->file, i + 1);
			break;
		}
		digest_update(&digest, block, (size_t)n);
		if (out >= 0 && io_write(out, block, (size_t)n) < 0)
			result = err_set_errno(e, "standard output");
		at += n;
		left -= (uint64_t)n;
	}
	digest_hex(&digest, hex);
	digest_release(&digest);
	free(block);
	if (result == 0 && strcmp(hex, im->layer[i].diff_id) != 0)
		result = err_set(e, "%s: layer %zu has the digest %s, not its diff_id %s",
				 im->file, i + 1, hex, im->layer[i].diff_id);
	return result;
}
