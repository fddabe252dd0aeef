#include "image/image.h"

#include "base/err.h"
#include "base/mem.h"
#include "image/annotations.h"
#include "image/layout.h"
#include "image/manifest.h"

#include <stdlib.h>
#include <string.h>

enum { NESTED_MAX = 4 };

void image_archive_release(struct image_archive *a)
{
	unpack_index_release(&a->index);
	json_decref(a->images);
	json_decref(a->docker);
	json_decref(a->oci);
	*a = (struct image_archive){0};
}

/* --- documents --- */

json_t *image_archive_text(const struct image_archive *a, const char *member,
			   const char *hex, struct buf *text, struct err *e)
{
	char got[DIGEST_HEX + 1];
	const struct unpack_place *p = unpack_find(&a->index, member, e);

	if (p == NULL || unpack_get(&a->index, p, text, JSON_LIMIT, e) < 0) {
		err_prefix(e, "%s", a->file);
		return NULL;
	}
	digest_of(text->data, text->len, got);
	if (hex != NULL && strcmp(got, hex) != 0) {
		err_set(e, "%s: member '%s' has the digest %s, which is not its name",
			a->file, member, got);
		return NULL;
	}
	json_t *doc = json_parse(text->data, text->len, member, e);
	if (doc == NULL)
		err_prefix(e, "%s", a->file);
	return doc;
}

static json_t *get_json(const struct image_archive *a, const char *member, struct err *e)
{
	struct buf text = {0};
	json_t *doc = image_archive_text(a, member, NULL, &text, e);

	buf_release(&text);
	return doc;
}

bool image_archive_has(const struct image_archive *a, const char *name)
{
	return strset_find(&a->index.names, name, strlen(name)) != STRSET_NONE;
}

json_t *image_archive_blob(const struct image_archive *a, const json_t *descriptor,
			   struct buf *text, struct err *e)
{
	const char *hex = manifest_hex(descriptor);
	char name[LAYOUT_BLOB];

	if (hex == NULL) {
		err_set(e, "%s: a descriptor without a sha256 digest", a->file);
		return NULL;
	}
	layout_blob(hex, name);
	return image_archive_text(a, name, hex, text, e);
}

/* --- Docker's archives --- */

static int too_many(const struct image_archive *a, struct err *e)
{
	return err_set(e, "%s: more than %d images", a->file, IMAGE_MAX);
}

static int read_manifest(struct image_archive *a, struct err *e)
{
	size_t i;
	json_t *entry;

	a->docker = get_json(a, "manifest.json", e);
	if (a->docker == NULL)
		return -1;
	if (json_array_size(a->docker) == 0)
		return err_set(e, "%s: manifest.json names no image", a->file);
	if (json_array_size(a->docker) > IMAGE_MAX)
		return too_many(a, e);
	json_array_foreach(a->docker, i, entry)
	{
		if (!json_is_object(entry))
			return err_set(
			    e, "%s: manifest.json has an image that is not an object",
			    a->file);
	}
	return 0;
}

/* --- OCI image layouts --- */

static bool is_index(const json_t *doc)
{
	return json_is_array(json_object_get(doc, "manifests"));
}

/*
 * The image name in a descriptor's annotations, or NULL. containerd's annotation comes
 * first, because it has the full name as Docker writes it.
 */
static const char *annotated_name(const json_t *descriptor)
{
	const json_t *notes = json_object_get(descriptor, "annotations");
	const char *full = json_string_at(notes, "io.containerd.image.name");

	return full != NULL ? full
			    : json_string_at(notes, "org.opencontainers.image.ref.name");
}

json_t *image_archive_manifest(const struct image_archive *a, const json_t *descriptor,
			       struct err *e)
{
	const struct image_choice *c = a->choice;
	json_t *doc = NULL;

	for (int depth = 0; depth < NESTED_MAX; depth++) {
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

/* --- platforms in an OCI image layout --- */

/* Descriptors grouped by image name. Descriptors without a name are in the group "". */
struct groups {
	struct strset names;
	json_t **list; /* names.n arrays */
	size_t cap;
};

static uint32_t group_of(const struct groups *g, const json_t *descriptor)
{
	const char *name = annotated_name(descriptor);

	return name != NULL ? strset_find(&g->names, name, strlen(name))
			    : strset_find(&g->names, "", 0);
}

static void add_to_group(struct groups *g, json_t *descriptor)
{
	const char *name = annotated_name(descriptor);
	size_t before = g->names.n;
	uint32_t i = strset_add(&g->names, name != NULL ? name : "",
				name != NULL ? strlen(name) : 0);

	if (g->names.n > before) {
		g->list = mem_grow(g->list, &g->cap, g->names.n, sizeof(*g->list));
		g->list[i] = json_array();
	}
	json_array_append(g->list[i], descriptor);
}

static void release_groups(struct groups *g)
{
	for (size_t i = 0; i < g->names.n; i++)
		json_decref(g->list[i]);
	free(g->list);
	strset_release(&g->names);
}

/* The descriptors of index.json that image_archive_open() keeps. */
static json_t *pick_images(const json_t *all, const struct image_choice *c)
{
	json_t *images = json_array(), *descriptor;
	struct groups groups = {0};
	size_t i;

	json_array_foreach(all, i, descriptor)
	{
		if (manifest_is_image(descriptor))
			add_to_group(&groups, descriptor);
	}
	const json_t **best = mem_zero(groups.names.n, sizeof(*best));
	for (i = 0; i < groups.names.n; i++)
		best[i] = manifest_find(groups.list[i], &c->platform, c->os);
	json_array_foreach(all, i, descriptor)
	{
		if (!manifest_is_image(descriptor))
			continue;
		json_t *platform = json_object_get(descriptor, "platform");
		const json_t *other = best[group_of(&groups, descriptor)];
		if (other == NULL || platform == NULL ||
		    json_equal(platform, json_object_get(other, "platform")))
			json_array_append(images, descriptor);
	}
	free(best);
	release_groups(&groups);
	return images;
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
		} else if (arch == NULL && depth < NESTED_MAX &&
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
		if (is_index(doc) && depth < NESTED_MAX)
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
	json_t *descriptor, *manifest; /* what was found */
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

static int read_index(struct image_archive *a, struct err *e)
{
	json_t *index = get_json(a, "index.json", e);
	json_t *all = json_object_get(index, "manifests");

	if (index == NULL)
		return -1;
	a->oci = json_is_array(all) ? json_incref(all) : json_array();
	json_decref(index);
	return json_array_size(a->oci) > IMAGE_MAX ? too_many(a, e) : 0;
}

/* --- both formats --- */

json_t *image_archive_tags(const struct image_archive *a, const json_t *entry)
{
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

void image_archive_use(struct image_archive *a, bool is_oci)
{
	json_decref(a->images);
	a->is_oci = is_oci;
	a->images = is_oci ? pick_images(a->oci, a->choice) : json_incref(a->docker);
}

int image_archive_open(struct image_archive *a, const char *file,
		       const struct image_choice *choice, struct err *e)
{
	struct err unused;

	*a = (struct image_archive){.file = strcmp(file, "-") == 0 ? "stdin" : file,
				    .choice = choice};
	if (unpack_index_open(&a->index, file, e) < 0)
		return -1;
	bool has_index = image_archive_has(a, "index.json");
	if (image_archive_has(a, "manifest.json")) {
		if (read_manifest(a, e) < 0)
			return -1;
		has_index = has_index && read_index(a, &unused) == 0 &&
			    image_archive_has_platforms(a, a->oci);
		image_archive_use(a, has_index && (choice->has_arch || choice->has_os));
		a->is_several = has_index;
		return 0;
	}
	if (!has_index)
		return err_set(
		    e, "%s: not an image, it has neither manifest.json nor index.json",
		    a->file);
	if (read_index(a, e) < 0)
		return -1;
	image_archive_use(a, true);
	return 0;
}
