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

struct bundle {
	struct image_archive *archive;
	struct strset ids;   /* hex digests of the configurations */
	struct place *place; /* ids.n of them */
	size_t cap_place;
	struct strset full; /* the full spellings of the references */
	struct tag *tag;    /* full.n of them */
	size_t cap_tag;
};

static void release(struct bundle *b, size_t n)
{
	for (size_t i = 0; i < b->ids.n; i++)
		json_decref(b->place[i].tags);
	free(b->place);
	for (size_t i = 0; i < b->full.n; i++)
		free(b->tag[i].text);
	free(b->tag);
	strset_release(&b->ids);
	strset_release(&b->full);
	for (size_t i = 0; i < n; i++)
		image_archive_release(&b->archive[i]);
	free(b->archive);
}

/*
 * Assigns the reference `text`, in full `full`, to the image. Warns if another one had
 * it.
 */
static void set_tag(struct bundle *b, uint32_t image, const char *file, const char *text,
		    const struct buf *full)
{
	size_t before = b->full.n;
	uint32_t i = strset_add(&b->full, full->data, full->len);

	if (b->full.n > before) {
		b->tag = mem_grow(b->tag, &b->cap_tag, b->full.n, sizeof *b->tag);
		b->tag[i].text = mem_strdup(text);
	} else if (b->tag[i].image != image) {
		warn("%s: %s names another image in %s; the last one gets it", file, text,
		     b->place[b->tag[i].image].archive->file);
	}
	b->tag[i].image = image;
}

static void add_tag(struct bundle *b, uint32_t image, const struct image_archive *a,
		    const char *reference)
{
	struct buf name = {0}, full = {0};
	const char *tag;
	struct err why;

	if (a->is_oci && strpbrk(reference, ":/") == NULL) {
		warn("%s: an image has a tag, '%s', but no name, and stays without",
		     a->file, reference);
	} else if (reference_split(reference, &name, &tag, &why) < 0) {
		warn("%s: %s; that name is left out", a->file, why.text);
	} else {
		reference_full_name(name.data, &full);
		buf_addf(&full, ":%s", tag);
		buf_addf(&name, ":%s", tag);
		set_tag(b, image, a->file, name.data, &full);
	}
	buf_release(&name);
	buf_release(&full);
}

/* Records image `at` of its archive, and its references. */
static void note_image(struct bundle *b, const struct image *im, size_t at)
{
	size_t before = b->ids.n, i;
	uint32_t image = strset_add(&b->ids, im->id, DIGEST_HEX);
	json_t *tag;

	if (b->ids.n > before) {
		b->place = mem_grow(b->place, &b->cap_place, b->ids.n, sizeof *b->place);
		b->place[image] =
		    (struct place){.archive = im->archive, .i = at, .tags = json_array()};
	}
	json_array_foreach(im->tags, i, tag)
	{
		add_tag(b, image, im->archive, json_string_value(tag));
	}
}

/* Writes the layers of all images of the archive. */
static int add_archive(struct bundle *b, struct writer *w, const struct image_archive *a,
		       struct err *e)
{
	int result = 0;

	for (size_t i = 0; i < json_array_size(a->images) && result == 0; i++) {
		struct image im;
		result = image_open_at(&im, a, i, e);
		if (result == 0)
			result = writer_copy(w, &im, e);
		if (result == 0)
			note_image(b, &im, i);
		image_release(&im);
	}
	return result;
}

/* Writes the documents of all images. Each is read again, so only one is in memory. */
static int add_documents(struct bundle *b, struct writer *w, struct err *e)
{
	int result = 0;

	for (size_t i = 0; i < b->full.n; i++)
		json_array_append_new(b->place[b->tag[i].image].tags,
				      json_string(b->tag[i].text));
	for (size_t i = 0; i < b->ids.n && result == 0; i++) {
		const struct place *p = &b->place[i];
		struct image im;
		result = image_open_at(&im, p->archive, p->i, e);
		if (result == 0 && strcmp(im.id, b->ids.name[i]) != 0)
			result = err_set(e, "%s: changed while it was read", im.file);
		if (result == 0)
			writer_add(w, im.config, &im.text, p->tags);
		image_release(&im);
	}
	return result;
}

static int open_archives(struct bundle *b, char *const *file, size_t n,
			 const struct image_choice *choice, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct image_archive *a = &b->archive[i];
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
		const struct image_choice *choice, struct err *e)
{
	struct bundle b = {.archive = mem_zero(n, sizeof *b.archive)};
	int result = open_archives(&b, file, n, choice, e);

	for (size_t i = 0; i < n && result == 0; i++)
		result = add_archive(&b, w, &b.archive[i], e);
	if (result == 0)
		result = add_documents(&b, w, e);
	if (result == 0)
		result = check_lists(w, e);
	if (result == 0)
		writer_list(w);
	release(&b, n);
	return result;
}
