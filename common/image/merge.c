#include "image/merge.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/strset.h"
#include "image/image.h"
#include "image/reference.h"
#include "image/writer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The first place of an image. */
struct place {
	const struct image_archive *archive;
	size_t i;
	json_t *tags; /* its final references */
};

/* A reference: name and tag. */
struct tag {
	char *text;     /* its first spelling, owned */
	uint32_t image; /* the image that gets it */
};

struct image_merge {
	struct image_archive *archive;
	struct strset ids;   /* hex digests of the configurations */
	struct place *place; /* ids.n of them */
	size_t cap_place;
	struct strset full; /* the full spellings of the references */
	struct tag *tag;    /* full.n of them */
	size_t cap_tag;
	const char *reference; /* of the single image, or NULL */
};

static void release(struct image_merge *m, size_t n)
{
	for (size_t i = 0; i < m->ids.n; i++)
		json_decref(m->place[i].tags);
	free(m->place);
	for (size_t i = 0; i < m->full.n; i++)
		free(m->tag[i].text);
	free(m->tag);
	strset_release(&m->ids);
	strset_release(&m->full);
	for (size_t i = 0; i < n; i++)
		image_archive_release(&m->archive[i]);
	free(m->archive);
}

/*
 * Assigns the reference `text`, in full `full`, to the image. Warns if another one had
 * it.
 */
static void set_tag(struct image_merge *m, uint32_t image, const char *file,
		    const char *text, const struct buf *full)
{
	size_t before = m->full.n;
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

/* Records image `at` of its archive, and its references. */
static void note_image(struct image_merge *m, const struct image *im, size_t at)
{
	size_t before = m->ids.n, i;
	uint32_t image = strset_add(&m->ids, im->id, DIGEST_HEX);
	json_t *tag;

	if (m->ids.n > before) {
		m->place = mem_grow(m->place, &m->cap_place, m->ids.n, sizeof *m->place);
		m->place[image] =
		    (struct place){.archive = im->archive, .i = at, .tags = json_array()};
	}
	if (m->reference != NULL)
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
	int result = 0;

	for (size_t i = 0; i < json_array_size(a->images) && result == 0; i++) {
		struct image im;
		result = image_open_at(&im, a, i, e);
		if (result == 0)
			result = writer_copy(w, &im, e);
		if (result == 0)
			note_image(m, &im, i);
		image_release(&im);
	}
	return result;
}

/* Writes the documents of all images. Each is read again, so only one is in memory. */
static int add_documents(struct image_merge *m, struct writer *w, struct err *e)
{
	int result = 0;

	if (m->reference != NULL) {
		if (m->ids.n != 1)
			return err_set(e, "%zu images cannot all have the name %s",
				       m->ids.n, m->reference);
		json_array_append_new(m->place[0].tags, json_string(m->reference));
	}
	for (size_t i = 0; i < m->full.n; i++)
		json_array_append_new(m->place[m->tag[i].image].tags,
				      json_string(m->tag[i].text));
	for (size_t i = 0; i < m->ids.n && result == 0; i++) {
		const struct place *p = &m->place[i];
		struct image im;
		result = image_open_at(&im, p->archive, p->i, e);
		if (result == 0 && strcmp(im.id, m->ids.name[i]) != 0)
			result = err_set(e, "%s: changed while it was read", im.file);
		if (result == 0)
			writer_add(w, im.config, &im.text, p->tags);
		image_release(&im);
	}
	return result;
}

static int open_archives(struct image_merge *m, char *const *file, size_t n,
			 const struct image_choice *choice, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct image_archive *a = &m->archive[i];
		if (image_archive_open(a, file[i], choice, e) < 0)
			return -1;
		if (json_array_size(a->images) == 0)
			return err_set(e, "%s: no image in it", a->file);
	}
	return 0;
}

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
		const struct image_choice *choice, const char *reference, struct err *e)
{
	struct image_merge m = {.archive = mem_zero(n, sizeof *m.archive),
				.reference = reference};
	int result = open_archives(&m, file, n, choice, e);

	for (size_t i = 0; i < n && result == 0; i++)
		result = add_archive(&m, w, &m.archive[i], e);
	if (result == 0)
		result = add_documents(&m, w, e);
	if (result == 0)
		result = check_lists(w, e);
	if (result == 0)
		writer_list(w);
	release(&m, n);
	return result;
}
