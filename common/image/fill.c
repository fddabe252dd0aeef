#include "image/fill.h"

#include "archive/unpack.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/progress.h"
#include "image/image.h"
#include "image/layernote.h"
#include "image/layout.h"
#include "image/manifest.h"
#include "image/writer.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

struct fill {
	struct writer *writer;
	const struct image_choice *base;
	struct image image; /* its documents are copied */
	size_t next;        /* the layers before this one are done */
	bool has_begun;     /* a layer of an input was seen */
	const char *what;   /* the name of the current input, for messages */
};

/* The first of `n` layers that must be written and was not, or `n`. */
static size_t first_missing(const struct fill *f, size_t n)
{
	size_t i = 0;

	while (i < n && (writer_leaves_out(f->writer, f->image.layer[i].diff_id) ||
			 writer_has(f->writer, f->image.layer[i].diff_id)))
		i++;
	return i;
}

/* Writes the layers of the base image, which are the first `n` ones. */
static int copy_base(struct fill *f, size_t n, struct err *e)
{
	struct image base = {0};
	size_t same = 0;

	if (f->base->from == NULL || first_missing(f, n) == n)
		return 0;
	if (image_open(&base, f->base, e) < 0) {
		image_release(&base);
		return -1;
	}
	while (same < base.n && same < f->image.n &&
	       strcmp(base.layer[same].diff_id, f->image.layer[same].diff_id) == 0)
		same++;
	int result = same == base.n
			 ? writer_copy(f->writer, &base, e)
			 : err_set(e, "%s: not the base image of %s: layer %zu differs",
				   f->base->from, f->image.file, same + 1);
	image_release(&base);
	return result;
}

/*
 * Goes to the image's layer of this note. Layers that precede the first one of standard
 * input are of the base image.
 */
static int go_to_layer(struct fill *f, const struct layernote *note, struct err *e)
{
	size_t i = f->next;

	while (i < f->image.n && strcmp(f->image.layer[i].diff_id, note->diff_id) != 0)
		i++;
	if (i == f->image.n)
		return err_set(e, "%s: layer %s is not in %s, or in another order",
			       f->what, note->diff_id, f->image.file);
	if (!f->has_begun && copy_base(f, i, e) < 0)
		return -1;
	f->has_begun = true;
	f->next = i + 1;
	return 0;
}

static int take_member(struct fill *f, struct unpack_stream *s,
		       const struct unpack_member *m, struct err *e)
{
	struct layernote note;
	int result = layernote_read(&note, m, e);

	if (result < 0)
		err_prefix(e, "%s", f->what);
	else if (result == 0 && m->is_file)
		result = err_set(e, "%s: member '%s' is not a layer", f->what, m->name);
	else if (result > 0)
		result = go_to_layer(f, &note, e);
	if (result == 0 && m->is_file && !note.is_stub)
		result = writer_pass(f->writer, s, &note, m->size, f->what, f->next, e);
	progress("layers", f->next, f->image.n, f->writer->bytes, 0);
	layernote_release(&note);
	return result;
}

static int copy_archive(struct fill *f, const char *file, struct err *e)
{
	int fd = io_open_input(file), result;
	struct unpack_member m;

	f->what = io_name(file);
	if (fd < 0)
		return err_set_errno(e, "%s", f->what);
	struct unpack_stream *s = unpack_stream_new(fd, f->what);
	while ((result = unpack_next(s, &m, e)) > 0) {
		result = take_member(f, s, &m, e);
		if (result < 0)
			break;
	}
	unpack_stream_release(s);
	close(fd);
	return result;
}

static int copy_layers(struct fill *f, const char *const file[], size_t n, struct err *e)
{
	int result = 0;

	for (size_t i = 0; i < n && result == 0; i++)
		result = copy_archive(f, file[i], e);
	progress_end();
	if (result == 0 && !f->has_begun)
		result = copy_base(f, f->image.n, e);
	size_t i = result == 0 ? first_missing(f, f->image.n) : f->image.n;
	if (i < f->image.n)
		result = err_set(e, "%s: layer %zu of %s, %s, is missing", f->what, i + 1,
				 f->image.file, f->image.layer[i].diff_id);
	return result;
}

/* Copies a member that is not a layer. */
static int copy_member(struct fill *f, const char *name, struct err *e)
{
	const struct unpack_index *x = &f->image.archive->index;
	const struct unpack_place *place = unpack_find(x, name, e);
	struct buf text = {0};
	int result = place == NULL ? -1 : unpack_get(x, place, &text, JSON_LIMIT, e);

	if (result == 0)
		writer_member(f->writer, name, &text);
	else
		err_prefix(e, "%s", f->image.file);
	buf_release(&text);
	return result;
}

static int copy_blob(struct fill *f, const char *hex, struct err *e)
{
	char name[LAYOUT_BLOB];

	layout_blob(hex, name);
	return copy_member(f, name, e);
}

/* Copies the documents in the order in which writer_image() writes them. */
static int copy_documents(struct fill *f, struct err *e)
{
	const size_t n = LAYOUT_LISTS - (f->writer->is_oci ? 1 : 0);
	const struct image *im = &f->image;
	json_t *manifest = image_descriptor(im);
	const char *hex = manifest != NULL ? manifest_hex(manifest) : NULL;
	int result;

	if (hex == NULL || json_array_size(im->archive->images) != 1)
		result =
		    err_set(e, "%s: not an archive of one image that dt-manifest wrote",
			    im->file);
	else
		result = copy_blob(f, im->id, e) < 0 ? -1 : copy_blob(f, hex, e);
	for (size_t i = 0; i < n && result == 0; i++)
		result = copy_member(f, layout_lists[i], e);
	json_decref(manifest);
	return result;
}

int fill_image(struct writer *w, const char *file, const struct image_choice *base,
	       const char *const layers[], size_t n, struct err *e)
{
	struct fill f = {.writer = w, .base = base};
	struct image_choice choice;

	image_choice_init(&choice);
	choice.from = file;
	choice.may_lack = true;
	int result = image_open(&f.image, &choice, e);
	if (result == 0)
		result = copy_layers(&f, layers, n, e);
	if (result == 0)
		result = copy_documents(&f, e);
	image_release(&f.image);
	return result;
}
