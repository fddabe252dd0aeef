#include "image/image.h"

#include "base/err.h"
#include "base/mem.h"
#include "image/layout.h"
#include "image/manifest.h"

#include <stdlib.h>
#include <string.h>

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

	int result = p != NULL ? unpack_get(&a->index, p, text, JSON_LIMIT, e) : -1;
	if (result < 0)
		err_prefix(e, "%s", a->file);
	if (result == UNPACK_UNREADABLE)
		die("%s", e->text);
	if (result < 0)
		return NULL;
	digest_of(text->data, text->len, got);
	if (hex != NULL && !digest_is_same(got, hex)) {
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

/*
 * The image name in a descriptor's annotations, or NULL. containerd's annotation comes
 * first, because it has the full name as Docker writes it.
 */
static const char *annotated_name(const json_t *descriptor)
{
	const json_t *notes = json_object_get(descriptor, "annotations");
	const char *full = json_string_at(notes, manifest_name_key);

	return full != NULL ? full : json_string_at(notes, manifest_tag_key);
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
