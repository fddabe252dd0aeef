#include "image/merge.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/strset.h"
#include "image/image.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "image/writer.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The first place of an image. */
struct place {
	const struct image_archive *archive;
	size_t i;
	json_t *tags;     /* its final references */
	json_t *manifest; /* its descriptor, or NULL */
};

/* A reference: name and tag. */
struct tag {
	char *text;     /* its first spelling, owned */
	uint32_t image; /* the image that gets it */
};

struct image_merge {
	const struct merge_naming *naming;
	size_t docker;               /* of an index: the image for manifest.json */
	struct image_choice *choice; /* of an index: that of each archive, or NULL */
	struct image_archive *archive;
	struct strset ids;   /* hex digests of the configurations */
	struct place *place; /* ids.n of them */
	size_t cap_place;
	struct strset full; /* the full spellings of the references */
	struct tag *tag;    /* full.n of them */
	size_t cap_tag;
};

static void release(struct image_merge *m, size_t n)
{
	for (size_t i = 0; i < m->ids.n; i++) {
		json_decref(m->place[i].tags);
		json_decref(m->place[i].manifest);
	}
	free(m->place);
	for (size_t i = 0; i < m->full.n; i++)
		free(m->tag[i].text);
	free(m->tag);
	strset_release(&m->ids);
	strset_release(&m->full);
	for (size_t i = 0; i < n; i++)
		image_archive_release(&m->archive[i]);
	free(m->archive);
	free(m->choice);
}

/*
 * Assigns the reference `text`, in full `full`, to the image. Warns if another one had
 * it. An index has only the references of the first image; warns of others.
 */
static void set_tag(struct image_merge *m, uint32_t image, const char *file,
		    const char *text, const struct buf *full)
{
	size_t before = m->full.n;

	if (m->naming->is_index && image > 0) {
		if (strset_find(&m->full, full->data, full->len) == STRSET_NONE)
			warn("%s: the name %s is left out; the index has the names of %s",
			     file, text, m->place[0].archive->file);
		return;
	}
	uint32_t i = strset_add(&m->full, full->data, full->len);
	if (m->full.n > before) {
		m->tag = mem_grow(m->tag, &m->cap_tag, m->full.n, sizeof *m->tag);
		m->tag[i].text = mem_strdup(text);
	} else if (m->tag[i].image != image) {
		warn("%s: %s also names an image in %s; the last image gets the name",
		     file, text, m->place[m->tag[i].image].archive->file);
	}
	m->tag[i].image = image;
}

static void add_tag(struct image_merge *m, uint32_t image, const struct image_archive *a,
		    const char *reference)
{
	struct buf name = {0}, full = {0};
	const char *tag;
	struct err why;

	if (a->is_oci && strpbrk(reference, ":/") == NULL) {
		warn("%s: an image has the tag '%s' but no name; the tag is ignored",
		     a->file, reference);
	} else if (reference_split(reference, &name, &tag, &why) < 0) {
		warn("%s: %s; the name is ignored", a->file, why.text);
	} else {
		reference_full_name(name.data, &full);
		buf_addf(&full, ":%s", tag);
		buf_addf(&name, ":%s", tag);
		set_tag(m, image, a->file, name.data, &full);
	}
	buf_release(&name);
	buf_release(&full);
}

/*
 * Records image `at` of its archive, and its references. `manifests` are those of the
 * archive.
 */
static void note_image(struct image_merge *m, const struct image *im, size_t at,
		       const json_t *manifests)
{
	size_t before = m->ids.n, i;
	uint32_t image = strset_add(&m->ids, im->id, DIGEST_HEX);
	json_t *tag;

	if (m->ids.n > before) {
		m->place = mem_grow(m->place, &m->cap_place, m->ids.n, sizeof *m->place);
		m->place[image] = (struct place){
		    .archive = im->archive,
		    .i = at,
		    .tags = json_array(),
		    .manifest = json_incref(json_object_get(manifests, im->id)),
		};
	}
	if (m->naming->name != NULL)
		return;
	json_array_foreach(im->tags, i, tag)
	{
		add_tag(m, image, im->archive, json_string_value(tag));
	}
}

/* Writes the layers of all images of the archive. */
static int add_archive(struct image_merge *m, struct writer *w,
		       const struct image_archive *a, struct err *e)
{
	json_t *manifests = image_archive_manifests(a);
	int result = 0;

	for (size_t i = 0; i < json_array_size(a->images) && result == 0; i++) {
		struct image im;
		result = image_open_at(&im, a, i, e);
		if (result == 0)
			result = writer_copy(w, &im, e);
		if (result == 0)
			note_image(m, &im, i, manifests);
		image_release(&im);
	}
	json_decref(manifests);
	return result;
}

/* Writes the documents of image `i`. */
static int add_image(const struct image_merge *m, struct writer *w, size_t i,
		     const json_t *tags, struct err *e)
{
	const struct place *p = &m->place[i];
	struct image im;
	int result = image_open_at(&im, p->archive, p->i, e);

	if (result == 0 && strcmp(im.id, m->ids.name[i]) != 0)
		result = err_set(e, "%s: changed while it was read", im.file);
	if (result == 0) {
		json_t *notes = image_archive_annotations(p->archive, p->manifest);
		writer_add(w, im.config, &im.text, tags, notes);
		json_decref(notes);
	}
	image_release(&im);
	return result;
}

/* Gives the first image, or the index, the reference of m->naming. */
static int set_reference(struct image_merge *m, struct err *e)
{
	const struct merge_naming *naming = m->naming;
	struct buf reference = {0};

	if (naming->name == NULL)
		return 0;
	if (!naming->is_index && m->ids.n != 1)
		return err_set(e, "%zu images cannot all have the name %s:%s", m->ids.n,
			       naming->name, naming->tag);
	buf_addf(&reference, "%s:%s", naming->name, naming->tag);
	json_array_append_new(m->place[0].tags, json_string(reference.data));
	buf_release(&reference);
	return 0;
}

/* Writes the documents of all images. Each is read again, so only one is in memory. */
static int add_documents(struct image_merge *m, struct writer *w, struct err *e)
{
	json_t *none = json_array();
	int result = set_reference(m, e);

	for (size_t i = 0; i < m->full.n; i++)
		json_array_append_new(m->place[m->tag[i].image].tags,
				      json_string(m->tag[i].text));
	for (size_t i = 0; i < m->ids.n && result == 0; i++)
		result =
		    add_image(m, w, i, !m->naming->is_index ? m->place[i].tags : none, e);
	json_decref(none);
	return result;
}

/*
 * Uses index.json of an archive whose images are indexes, as image_open() does, if each
 * of them has an image for the platform.
 */
static void prefer_index(struct image_archive *a)
{
	bool has_index = false, has_all = true;
	struct err unused;
	json_t *entry;
	size_t i;

	if (!a->is_several || a->is_oci)
		return;
	image_archive_use(a, true);
	json_array_foreach(a->images, i, entry)
	{
		json_t *manifest = image_archive_manifest(a, entry, &unused);
		has_index = has_index || manifest_is_index(entry);
		has_all = has_all && manifest != NULL;
		json_decref(manifest);
	}
	if (!has_index || !has_all)
		image_archive_use(a, false);
}

static int open_archives(struct image_merge *m, char *const *file, size_t n,
			 const struct image_choice *choice, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct image_archive *a = &m->archive[i];
		if (image_archive_open(a, file[i], choice, e) < 0)
			return -1;
		prefer_index(a);
		if (json_array_size(a->images) == 0)
			return err_set(e, "%s: no image in it", a->file);
	}
	return 0;
}

/* --- an index --- */

/*
 * Appends the platform as "OS/ARCH/VARIANT", without a variant that engines take for
 * granted. So two images with the same text could not be told apart.
 */
static void platform_text(const json_t *platform, struct buf *out)
{
	static const char *const implied[][2] = {
	    {"amd64", "v1"}, {"arm", "v7"}, {"arm64", "v8"}};
	const char *os = json_string_at(platform, "os"),
		   *arch = json_string_at(platform, "architecture"),
		   *variant = json_string_at(platform, "variant");

	for (size_t i = 0; variant != NULL && i < sizeof implied / sizeof *implied; i++)
		if (strcmp(arch, implied[i][0]) == 0 &&
		    strcmp(variant, implied[i][1]) == 0)
			variant = NULL;
	buf_addf(out, "%s/%s", os, arch);
	if (variant != NULL && *variant != '\0')
		buf_addf(out, "/%s", variant);
}

/* Adds the platform of image `i`, which no other image may have, to `seen`. */
static int add_platform(const struct image_merge *m, size_t i, const json_t *platform,
			struct strset *seen, struct err *e)
{
	const char *file = m->archive[i].file;
	struct buf text = {0};
	size_t before = seen->n;
	int result = 0;

	if (json_string_at(platform, "os") == NULL ||
	    json_string_at(platform, "architecture") == NULL)
		return err_set(e, "%s: the image's configuration names no platform",
			       file);
	platform_text(platform, &text);
	uint32_t other = strset_add(seen, text.data, text.len);
	if (seen->n == before)
		result = err_set(e,
				 "%s: an image for %s, as in %s; an index has one image "
				 "for each platform",
				 file, text.data, m->archive[other].file);
	buf_release(&text);
	return result;
}

/* Appends the platform of the only image of archive `i`, as in a descriptor. */
static int find_platform(const struct image_merge *m, size_t i, json_t *list,
			 struct strset *seen, struct err *e)
{
	struct image_archive *a = &m->archive[i];
	json_t *entry = json_object();
	struct image im;

	json_array_append_new(list, entry);
	if (json_array_size(a->images) != 1)
		return err_set(
		    e, "%s: %zu images; --index takes one image from each archive",
		    a->file, json_array_size(a->images));
	if (image_archive_has_platforms(a, a->oci))
		return err_set(e,
			       "%s: an image for several platforms; choose one with "
			       "'dt-merge --arch', and merge that",
			       a->file);
	/* The image's platform may be any, but an index in index.json needs a choice. */
	if (image_archive_platform(a, &m->choice[i].platform))
		a->choice = &m->choice[i];
	int result = image_open_at(&im, a, 0, e);
	if (result == 0) {
		json_t *platform = manifest_platform(im.config);
		json_object_set_new(entry, "platform", platform);
		result = add_platform(m, i, platform, seen, e);
	}
	image_release(&im);
	return result;
}

/* Chooses the image for manifest.json by its platform. */
static int choose_docker(struct image_merge *m, const json_t *list,
			 const struct image_choice *choice, struct err *e)
{
	const json_t *found = manifest_find(list, &choice->platform, choice->os);

	if (found == NULL) {
		(void)manifest_not_found(&choice->platform, choice->os, e);
		return err_prefix(e, "the index");
	}
	while (json_array_get(list, m->docker) != found)
		m->docker++;
	return 0;
}

/* Checks that the images can be in one index, and chooses that for manifest.json. */
static int plan_index(struct image_merge *m, size_t n, const struct image_choice *choice,
		      struct err *e)
{
	json_t *list = json_array();
	struct strset seen = {0};
	int result = 0;

	m->choice = mem_zero(n, sizeof *m->choice);
	for (size_t i = 0; i < n; i++)
		m->choice[i] = *choice;
	for (size_t i = 0; i < n && result == 0; i++)
		result = find_platform(m, i, list, &seen, e);
	if (result == 0 && choice->has_arch)
		result = choose_docker(m, list, choice, e);
	strset_release(&seen);
	json_decref(list);
	return result;
}

/* --- all of it --- */

/* Checks that a reader will accept the lists of index.json and manifest.json. */
static int check_lists(const struct writer *w, struct err *e)
{
	const json_t *list[] = {w->index, w->docker};
	/* The size of index.json without the list, rounded up. */
	enum { REST = 512 };

	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		struct buf text = {0};
		if (json_array_size(list[i]) > IMAGE_MAX)
			return err_set(e,
				       "%zu images, but dt reads at most %d; merge "
				       "fewer of them",
				       json_array_size(list[i]), IMAGE_MAX);
		json_write(list[i], &text);
		size_t size = text.len;
		buf_release(&text);
		if (size > JSON_LIMIT - REST)
			return err_set(e,
				       "the list of all images would have %zu bytes, "
				       "but dt reads at most %d; merge fewer images",
				       size, JSON_LIMIT);
	}
	return 0;
}

int merge_write(struct writer *w, char *const *file, size_t n,
		const struct image_choice *choice, const struct merge_naming *naming,
		struct err *e)
{
	struct image_merge m = {.naming = naming,
				.archive = mem_zero(n, sizeof *m.archive)};
	int result = open_archives(&m, file, n, choice, e);

	if (result == 0 && naming->is_index)
		result = plan_index(&m, n, choice, e);
	for (size_t i = 0; i < n && result == 0; i++)
		result = add_archive(&m, w, &m.archive[i], e);
	if (result == 0)
		result = add_documents(&m, w, e);
	if (result == 0)
		result = check_lists(w, e);
	if (result == 0 && naming->is_index)
		writer_index(w, m.docker, m.place[0].tags);
	if (result == 0)
		writer_list(w);
	release(&m, n);
	return result;
}
