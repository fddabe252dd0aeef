#include "image/image.h"

#include "base/err.h"
#include "image/annotations.h"
#include "image/manifest.h"

#include <string.h>

static bool is_index(const json_t *doc)
{
	return json_is_array(json_object_get(doc, "manifests"));
}

json_t *image_archive_manifest(const struct image_archive *a, const json_t *descriptor,
			       struct err *e)
{
	const struct image_choice *c = a->choice;
	json_t *doc = NULL;

	for (int depth = 0; depth < MANIFEST_NESTING; depth++) {
		struct buf text = {0};
		json_t *next = image_archive_blob(a, descriptor, &text, e);
		buf_release(&text);
		json_decref(doc);
		doc = next;
		if (doc == NULL || !is_index(doc))
			return doc;
		if (json_object_get(doc, "layers") != NULL) {
			err_set(e, "%s: a document that is both a manifest and an index",
				a->file);
			goto out;
		}
		descriptor =
		    manifest_find(json_object_get(doc, "manifests"), &c->platform, c->os);
		if (descriptor == NULL) {
			manifest_not_found(&c->platform, c->os, e);
			err_prefix(e, "%s", a->file);
			goto out;
		}
	}
	err_set(e, "%s: indexes are nested too deep", a->file);
out:
	json_decref(doc);
	return NULL;
}

/* Whether a nested index was not visited before. */
static bool is_new(struct strset *seen, const json_t *descriptor)
{
	const char *digest = json_string_at(descriptor, "digest");
	size_t before = seen->n;

	return digest != NULL && strset_add(seen, digest, strlen(digest)) == before;
}

/* Collects the platforms of these descriptors. Stops when it has found two. */
static void add_platforms(const struct image_archive *a, const json_t *list, int depth,
			  struct strset *platforms, struct strset *seen)
{
	struct buf text = {0};
	struct err unused;
	json_t *descriptor;
	size_t i;

	json_array_foreach(list, i, descriptor)
	{
		const json_t *p = json_object_get(descriptor, "platform");
		const char *arch = json_string_at(p, "architecture");
		if (platforms->n > 1 || !manifest_is_image(descriptor))
			continue;
		buf_clear(&text);
		if (arch != NULL && strcmp(arch, "unknown") != 0) {
			const char *os = json_string_at(p, "os"),
				   *variant = json_string_at(p, "variant");
			buf_addf(&text, "%s/%s", os != NULL ? os : "", arch);
			if (variant != NULL && *variant != '\0')
				buf_addf(&text, "/%s", variant);
			strset_add(platforms, text.data, text.len);
		} else if (arch == NULL && depth < MANIFEST_NESTING &&
			   is_new(seen, descriptor)) {
			json_t *doc = image_archive_blob(a, descriptor, &text, &unused);
			add_platforms(a, json_object_get(doc, "manifests"), depth + 1,
				      platforms, seen);
			json_decref(doc);
		}
	}
	buf_release(&text);
}

bool image_archive_has_platforms(const struct image_archive *a, const json_t *list)
{
	struct strset platforms = {0}, seen = {0};

	add_platforms(a, list, 1, &platforms, &seen);
	bool result = platforms.n > 1;
	strset_release(&platforms);
	strset_release(&seen);
	return result;
}

/* --- all manifests in an OCI image layout --- */

/* A walk through the manifests in index.json and nested indexes. */
struct walk {
	const struct image_archive *archive;
	struct strset *seen; /* digests of what was read, to read it once; or NULL */
	/* Sees a manifest. Returns whether the walk ends. */
	bool (*see)(void *arg, json_t *descriptor, json_t *manifest);
	void *arg;
};

/* Walks through these descriptors. Returns whether see() has ended the walk. */
static bool walk(const struct walk *w, const json_t *list, int depth)
{
	bool has_ended = false;
	json_t *descriptor;
	struct err unused;
	size_t i;

	json_array_foreach(list, i, descriptor)
	{
		struct buf text = {0};
		if (!manifest_is_image(descriptor) ||
		    (w->seen != NULL && !is_new(w->seen, descriptor)))
			continue;
		json_t *doc = image_archive_blob(w->archive, descriptor, &text, &unused);
		if (is_index(doc) && depth < MANIFEST_NESTING)
			has_ended = walk(w, json_object_get(doc, "manifests"), depth + 1);
		else
			has_ended = w->see(w->arg, descriptor, doc);
		json_decref(doc);
		buf_release(&text);
		if (has_ended)
			break;
	}
	return has_ended;
}

/* The manifest of an image with this configuration and number of layers. */
struct wanted {
	const char *config;
	size_t n;
	json_t *descriptor, *manifest; /* the result; NULL if none was found */
};

static bool see_wanted(void *arg, json_t *descriptor, json_t *manifest)
{
	struct wanted *w = arg;
	const char *hex = manifest_hex(json_object_get(manifest, "config"));

	if (hex == NULL || strcmp(hex, w->config) != 0 ||
	    json_array_size(json_object_get(manifest, "layers")) != w->n)
		return false;
	w->descriptor = json_incref(descriptor);
	w->manifest = json_incref(manifest);
	return true;
}

json_t *image_manifest(const struct image *im, json_t **descriptor)
{
	struct wanted wanted = {.config = im->id, .n = im->n};
	const struct walk w = {.archive = im->archive, .see = see_wanted, .arg = &wanted};

	(void)walk(&w, im->archive->oci, 0);
	*descriptor = wanted.descriptor;
	return wanted.manifest;
}

json_t *image_descriptor(const struct image *im)
{
	json_t *descriptor;

	json_decref(image_manifest(im, &descriptor));
	return descriptor;
}

static bool see_manifest(void *arg, json_t *descriptor, json_t *manifest)
{
	json_t *all = arg;
	const char *config = manifest_hex(json_object_get(manifest, "config"));

	if (config != NULL && json_object_get(all, config) == NULL)
		json_object_set(all, config, descriptor);
	return false;
}

json_t *image_archive_manifests(const struct image_archive *a)
{
	struct strset seen = {0};
	json_t *all = json_object();
	const struct walk w = {a, &seen, see_manifest, all};

	(void)walk(&w, a->oci, 0);
	strset_release(&seen);
	return all;
}

json_t *image_archive_annotations(const struct image_archive *a, const json_t *descriptor)
{
	struct buf text = {0};
	struct err unused;
	json_t *manifest =
	    descriptor != NULL ? image_archive_blob(a, descriptor, &text, &unused) : NULL;
	json_t *annotations = annotations_of_manifest(manifest);

	json_decref(manifest);
	buf_release(&text);
	return annotations;
}

bool image_archive_platform(const struct image_archive *a, struct platform *p)
{
	struct strset platforms = {0}, seen = {0};

	add_platforms(a, a->oci, 1, &platforms, &seen);
	bool result = platforms.n == 1 && platform_parse(p, platforms.name[0]) == 0;
	strset_release(&platforms);
	strset_release(&seen);
	return result;
}
