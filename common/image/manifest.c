#include "image/manifest.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "image/config.h"
#include "image/platform.h"

#include <stdlib.h>
#include <string.h>

#define OCI "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

static const char oci_manifest[] = OCI "manifest.v1+json";
const char manifest_index_type[] = OCI "index.v1+json";

const char manifest_name_key[] = "io.containerd.image.name";
const char manifest_tag_key[] = "org.opencontainers.image.ref.name";
static const char docker_manifest[] = DOCKER "distribution.manifest.v2+json";
static const char docker_list[] = DOCKER "distribution.manifest.list.v2+json";

const char manifest_types[] =
    OCI "manifest.v1+json," OCI "index.v1+json," DOCKER
	"distribution.manifest.v2+json," DOCKER "distribution.manifest.list.v2+json";

const struct manifest_media *manifest_media(const json_t *config)
{
	static const struct manifest_media oci = {
	    .manifest = OCI "manifest.v1+json",
	    .config = OCI "config.v1+json",
	    .layer = OCI "layer.v1.tar",
	};
	static const struct manifest_media docker = {
	    .manifest = DOCKER "distribution.manifest.v2+json",
	    .config = DOCKER "container.image.v1+json",
	    .layer = DOCKER "image.rootfs.diff.tar",
	};

	return config_is_docker(config) ? &docker : &oci;
}

static bool is_any(const char *type, const char *one, const char *other)
{
	return strcmp(type, one) == 0 || strcmp(type, other) == 0;
}

/* --- descriptors: OCI image specification, descriptor.md --- */

json_t *manifest_descriptor(const char *type, const char *hex, uint64_t size)
{
	json_t *d = json_object();

	json_object_set_new(d, "mediaType", json_string(type));
	json_object_set_new(d, "digest", json_digest(hex));
	json_object_set_new(d, "size", json_integer((json_int_t)size));
	return d;
}

json_t *manifest_platform(const json_t *config)
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

void manifest_refer(json_t *d, const char *type, const char *hex, uint64_t size)
{
	json_t *new = manifest_descriptor(type, hex, size);

	json_object_update(d, new);
	json_decref(new);
}

json_t *manifest_index(json_t *descriptors)
{
	json_t *index = json_object();

	json_object_set_new(index, "schemaVersion", json_integer(2));
	json_object_set_new(index, "mediaType", json_string(manifest_index_type));
	json_object_set(index, "manifests", descriptors);
	return index;
}

const char *manifest_hex(const json_t *descriptor)
{
	const char *digest = json_string_at(descriptor, "digest");

	return digest != NULL ? digest_strip(digest) : NULL;
}

int manifest_read(const json_t *d, struct manifest_blob *b, struct err *e)
{
	const char *hex = manifest_hex(d);
	const json_t *size = json_object_get(d, "size"),
		     *urls = json_object_get(d, "urls");

	if (hex == NULL)
		return err_set(e, "a digest that is not sha256: and 64 hex digits");
	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return err_set(e, "sha256:%s: no size", hex);
	memcpy(b->hex, hex, sizeof b->hex);
	b->size = (uint64_t)json_integer_value(size);
	b->urls = json_array_size(urls) > 0 ? urls : NULL;
	return 0;
}

/* --- manifests --- */

static bool is_layer_type(const char *type)
{
	return (strncmp(type, OCI "layer.", strlen(OCI "layer.")) == 0 ||
		strncmp(type, DOCKER "image.rootfs.", strlen(DOCKER "image.rootfs.")) ==
		    0) &&
	       strstr(type, "encrypted") == NULL;
}

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), len = strlen(end);

	return n >= len && strcmp(text + n - len, end) == 0;
}

enum compress_format manifest_layer_format(const char *type)
{
	if (!is_layer_type(type))
		return COMPRESS_OTHER;
	if (ends_in(type, ".tar+gzip") || ends_in(type, ".tar.gzip"))
		return COMPRESS_GZIP;
	if (ends_in(type, ".tar+zstd") || ends_in(type, ".tar.zstd"))
		return COMPRESS_ZSTD;
	return ends_in(type, ".tar") ? COMPRESS_NONE : COMPRESS_OTHER;
}

void manifest_layer_type(const char *type, enum compress_format format, struct buf *out)
{
	static const char tar[] = ".tar";
	bool is_oci = strncmp(type, OCI, strlen(OCI)) == 0;
	const char *end = strstr(type, tar);

	buf_add(out, type,
		end != NULL ? (size_t)(end - type) + strlen(tar) : strlen(type));
	buf_addf(out, "%c%s", is_oci ? '+' : '.',
		 format == COMPRESS_ZSTD ? "zstd" : "gzip");
}

static int read_layers(struct manifest *m, const json_t *layers, struct err *e)
{
	m->layer = mem_zero(json_array_size(layers), sizeof *m->layer);
	for (; m->n < json_array_size(layers); m->n++) {
		const json_t *d = json_array_get(layers, m->n);
		const char *type = json_string_at(d, "mediaType");
		if (type == NULL || !is_layer_type(type))
			return err_set(e, "layer %zu has the unsupported media type '%s'",
				       m->n + 1, type != NULL ? type : "");
		if (manifest_read(d, &m->layer[m->n], e) < 0)
			return -1;
	}
	return 0;
}

/*
 * Finds the media type of the document: the one that it names, or else the one that its
 * keys imply. Checks that both agree with each other and with `came_as`.
 */
static int check_type(const json_t *doc, const char *came_as, const char **type,
		      struct err *e)
{
	const json_t *layers = json_object_get(doc, "layers");
	const json_t *manifests = json_object_get(doc, "manifests");
	const json_t *schema = json_object_get(doc, "schemaVersion");

	*type = json_string_at(doc, "mediaType");
	if (json_integer_value(schema) != 2)
		return err_set(e, "not a manifest of schema 2");
	if (layers != NULL && manifests != NULL)
		return err_set(e, "both a manifest and an index");
	if (!json_is_array(layers != NULL ? layers : manifests))
		return err_set(e, "neither a manifest nor an index of images");
	if (*type == NULL)
		*type = layers != NULL ? oci_manifest : manifest_index_type;
	if (came_as != NULL && strcmp(*type, came_as) != 0)
		return err_set(e, "has the media type '%s', but '%s' was announced",
			       *type, came_as);
	if (!is_any(*type, oci_manifest, docker_manifest) &&
	    !is_any(*type, manifest_index_type, docker_list))
		return err_set(e, "unsupported media type '%s' of a manifest", *type);
	if (is_any(*type, manifest_index_type, docker_list) != (manifests != NULL))
		return err_set(
		    e, "the media type is '%s', but the contents are of another type",
		    *type);
	return 0;
}

int manifest_parse(struct manifest *m, const char *text, size_t len, const char *came_as,
		   struct err *e)
{
	const char *type;

	*m = (struct manifest){.doc = json_parse(text, len, "the manifest", e)};
	if (m->doc == NULL || check_type(m->doc, came_as, &type, e) < 0)
		return -1;
	m->is_index = json_object_get(m->doc, "manifests") != NULL;
	if (m->is_index)
		return 0;
	const json_t *config = json_object_get(m->doc, "config");
	type = json_string_at(config, "mediaType");
	if (type == NULL ||
	    !is_any(type, OCI "config.v1+json", DOCKER "container.image.v1+json"))
		return err_set(
		    e, "not a container image: its configuration has the media type '%s'",
		    type != NULL ? type : "");
	if (manifest_read(config, &m->config, e) < 0)
		return -1;
	if (m->config.size > JSON_LIMIT)
		return err_set(e, "a configuration of more than %d bytes", JSON_LIMIT);
	return read_layers(m, json_object_get(m->doc, "layers"), e);
}

void manifest_release(struct manifest *m)
{
	json_decref(m->doc);
	free(m->layer);
	*m = (struct manifest){0};
}

/* --- indexes --- */

/* Lists the variants that suit `p`, best first. Returns how many, at most 5. */
static size_t variants(const struct platform *p, const char *list[5])
{
	static const char *const arm[] = {"v8", "v7", "v6", "v5"};
	size_t n = 0;

	if (*p->variant == '\0') {
		list[n++] = "";
		if (strcmp(p->arch, "arm64") == 0)
			list[n++] = "v8";
		return n;
	}
	if (strcmp(p->arch, "arm") == 0)
		for (size_t i = 0; i < sizeof arm / sizeof *arm; i++)
			if (n > 0 || strcmp(arm[i], p->variant) == 0)
				list[n++] = arm[i];
	if (n == 0)
		list[n++] = p->variant;
	list[n++] = "";
	return n;
}

/* The string under `key`, or "". */
static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_at(object, key);
	return text != NULL ? text : "";
}

bool manifest_is_index(const json_t *descriptor)
{
	return is_any(text_at(descriptor, "mediaType"), manifest_index_type, docker_list);
}

bool manifest_is_image(const json_t *descriptor)
{
	const char *type = json_string_at(descriptor, "mediaType");

	return type == NULL || is_any(type, oci_manifest, docker_manifest) ||
	       manifest_is_index(descriptor);
}

/*
 * Whether the entry is an image for this platform. `variant` NULL means any variant; `os`
 * NULL means an entry without a platform.
 */
static bool is_for(const json_t *entry, const struct platform *p, const char *os,
		   const char *variant)
{
	const json_t *platform = json_object_get(entry, "platform");
	const char *arch = text_at(platform, "architecture"),
		   *system = text_at(platform, "os");

	if (!json_is_object(entry) || !manifest_is_image(entry))
		return false;
	if (*arch == '\0' && *system == '\0')
		return os == NULL;
	return os != NULL && strcmp(arch, p->arch) == 0 && strcmp(system, os) == 0 &&
	       (variant == NULL || strcmp(text_at(platform, "variant"), variant) == 0);
}

static const json_t *find(const json_t *list, const struct platform *p, const char *os,
			  const char *variant)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (is_for(json_array_get(list, i), p, os, variant))
			return json_array_get(list, i);
	return NULL;
}

const json_t *manifest_find(const json_t *list, const struct platform *p, const char *os)
{
	const json_t *found = NULL;
	const char *order[5];
	size_t n = variants(p, order);

	for (size_t i = 0; i < n && found == NULL; i++)
		found = find(list, p, os, order[i]);
	if (found == NULL)
		found = find(list, p, NULL, NULL); /* an entry without a platform */
	return found != NULL ? found : find(list, p, os, NULL);
}

int manifest_not_found(const struct platform *p, const char *os, struct err *e)
{
	return err_set(e, "no image for %s/%s%s%s in it", os, p->arch,
		       *p->variant != '\0' ? "/" : "", p->variant);
}

int manifest_choose(const struct manifest *m, const struct platform *p, const char *os,
		    struct manifest_blob *out, struct err *e)
{
	const json_t *list = json_object_get(m->doc, "manifests");
	const json_t *found = manifest_find(list, p, os);

	return found != NULL ? manifest_read(found, out, e)
			     : manifest_not_found(p, os, e);
}
