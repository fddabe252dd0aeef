#include "image/writer.h"

#include "archive/compress.h"
#include "archive/tar.h"
#include "archive/unpack.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/io.h"
#include "base/lines.h"
#include "base/mem.h"
#include "base/progress.h"
#include "image/image.h"
#include "image/layercheck.h"
#include "image/layernote.h"
#include "image/layout.h"
#include "image/manifest.h"
#include "tree/layer.h"

#include <stdlib.h>
#include <string.h>

enum { ONLY_MAX = 1 << 20 };

void writer_release(struct writer *w)
{
	for (size_t i = 0; i < w->layer.n; i++)
		json_decref(w->about[i].descriptor);
	strset_release(&w->layer);
	strset_release(&w->only);
	free(w->about);
	json_decref(w->index);
	json_decref(w->docker);
	*w = (struct writer){.fd = w->fd};
}

static void put(struct writer *w, const void *data, size_t len)
{
	if (io_write(w->fd, data, len) < 0)
		die_errno("%s", io_output());
}

/* Pads an entry of `size` bytes to a multiple of the tar block size. */
static void pad(struct writer *w, uint64_t size)
{
	static const char zeroes[TAR_BLOCK];

	put(w, zeroes, tar_padding(size));
}

static void put_header(struct writer *w, const char *name, uint64_t size,
		       const struct buf *records)
{
	struct buf header = {0};
	struct tar_member m = {
	    .name = name,
	    .type = TAR_FILE,
	    .mode = 0644,
	    .size = size,
	    .records = records,
	};

	tar_header(&header, &m);
	put(w, header.data, header.len);
	buf_release(&header);
}

void writer_member(struct writer *w, const char *name, const struct buf *content)
{
	put_header(w, name, content->len, NULL);
	put(w, content->data, content->len);
	pad(w, content->len);
}

/*
 * Lists a layer. Returns false if the archive has it already, or has as much of it as
 * `is_absent` adds.
 */
static bool list_layer(struct writer *w, const char *diff_id, uint64_t size,
		       bool is_absent)
{
	size_t before = w->layer.n;
	uint32_t i = strset_add(&w->layer, diff_id, DIGEST_HEX);

	if (w->layer.n > before) {
		w->about = mem_grow(w->about, &w->cap, w->layer.n, sizeof *w->about);
		w->about[i] = (struct writer_layer){0};
	} else if (!w->about[i].is_absent || is_absent) {
		return false;
	}
	json_decref(w->about[i].descriptor);
	w->about[i] = (struct writer_layer){.size = size, .is_absent = is_absent};
	if (!is_absent)
		w->bytes += size;
	return true;
}

bool writer_leaves_out(const struct writer *w, const char *diff_id)
{
	return w->is_limited && strset_find(&w->only, diff_id, DIGEST_HEX) == STRSET_NONE;
}

bool writer_has(const struct writer *w, const char *diff_id)
{
	uint32_t i = strset_find(&w->layer, diff_id, DIGEST_HEX);

	return i != STRSET_NONE && !w->about[i].is_absent;
}

/* A layer that is added to the archive. */
struct source {
	const char *diff_id, *comment;
	uint64_t size;
	/* Writes exactly `size` bytes to the archive. Returns 0, or -1 and a reason. */
	int (*write)(void *arg, struct writer *w, struct err *e);
	void *arg;
};

/* Adds a layer, unless the archive has it already. */
static int add(struct writer *w, const struct source *s, struct err *e)
{
	char name[LAYOUT_BLOB];
	struct buf records = {0};

	if (!list_layer(w, s->diff_id, s->size, false))
		return 0;
	layout_blob(s->diff_id, name);
	layernote_write(&records, s->diff_id, s->comment);
	put_header(w, name, s->size, &records);
	int result = s->write(s->arg, w, e);
	if (result == 0)
		pad(w, s->size);
	buf_release(&records);
	return result;
}

static int write_layer(void *arg, struct writer *w, struct err *e)
{
	(void)e;
	layer_write(arg, w->fd);
	return 0;
}

/* Writes a stub of a layer, unless the archive has the layer or its stub. */
static void add_stub(struct writer *w, const struct layer *l, const char *comment)
{
	char name[LAYOUT_STUB];
	struct buf records = {0};

	if (!list_layer(w, l->diff_id, l->size, true))
		return;
	layout_stub(l->diff_id, name);
	layernote_write_stub(&records, l->diff_id, l->size, comment);
	put_header(w, name, 0, &records);
	buf_release(&records);
}

void writer_absent(struct writer *w, const char *diff_id, uint64_t size)
{
	(void)list_layer(w, diff_id, size, true);
}

int writer_described(struct writer *w, const char *diff_id, const json_t *descriptor,
		     struct err *e)
{
	const char *type = json_string_at(descriptor, "mediaType");
	enum compress_format format =
	    type != NULL ? manifest_layer_format(type) : COMPRESS_OTHER;
	struct manifest_blob unused;

	if ((format != COMPRESS_GZIP && format != COMPRESS_ZSTD) ||
	    manifest_read(descriptor, &unused, e) < 0)
		return err_set(e,
			       "layer sha256:%s has a descriptor that is not of a "
			       "compressed layer",
			       diff_id);
	if (list_layer(w, diff_id, 0, true)) {
		uint32_t i = strset_find(&w->layer, diff_id, DIGEST_HEX);
		w->about[i].descriptor = json_deep_copy(descriptor);
	}
	return 0;
}

static int read_diff_id(void *arg, const char *line, size_t len, struct err *e)
{
	char text[DIGEST_REFERENCE] = "";

	if (len < sizeof text)
		memcpy(text, line, len);
	const char *hex = digest_strip(text);
	if (hex == NULL)
		hex = text;
	if (!digest_is_hex(hex))
		return err_set(e, "not a diff_id");
	strset_add(arg, hex, DIGEST_HEX);
	return 0;
}

int writer_limit(struct writer *w, const char *file, struct err *e)
{
	struct buf text = {0};

	if (file == NULL)
		return 0;
	w->is_limited = true;
	int result = io_slurp_as(file, io_name(file), &text, ONLY_MAX, e);
	if (result == 0)
		result = lines_scan(text.data, text.len, io_name(file), read_diff_id,
				    &w->only, e);
	buf_release(&text);
	return result;
}

void writer_layer(struct writer *w, struct layer *l, const char *comment)
{
	struct err unused;

	if (writer_leaves_out(w, l->diff_id)) {
		add_stub(w, l, comment);
		return;
	}
	(void)add(w, &(struct source){l->diff_id, comment, l->size, write_layer, l},
		  &unused);
}

/* A part of a file. */
struct span {
	int fd;
	off_t offset;
	uint64_t size;
};

static int write_span(void *arg, struct writer *w, struct err *e)
{
	const struct span *span = arg;
	off_t at = span->offset;
	int64_t n = io_copy(span->fd, &at, w->fd, span->size);

	if (n < 0)
		return err_set_errno(e, "%s", io_output());
	if ((uint64_t)n != span->size)
		return err_set(e, "a layer is shorter than it was");
	return 0;
}

void writer_file(struct writer *w, const char *diff_id, int fd, off_t offset,
		 uint64_t size, const char *comment)
{
	struct span span = {fd, offset, size};
	struct err why;

	if (add(w, &(struct source){diff_id, comment, size, write_span, &span}, &why) < 0)
		die("%s", why.text);
}

void writer_member_file(struct writer *w, const char *name, int fd, uint64_t size)
{
	struct span span = {fd, 0, size};
	struct err why;

	put_header(w, name, size, NULL);
	if (write_span(&span, w, &why) < 0)
		die("%s", why.text);
	pad(w, size);
}

/* A layer of a stream. */
struct passing {
	struct unpack_stream *stream;
	const char *diff_id, *what;
	uint64_t size;
	size_t number;
};

static int write_passing(void *arg, struct writer *w, struct err *e)
{
	const struct passing *p = arg;
	struct layercheck check;
	const struct io_watch watch = {layercheck_see, &check, w->verify};

	layercheck_begin(&check);
	int result = unpack_copy(p->stream, w->fd, &watch, e);
	return layercheck_end(&check, result, p->diff_id, p->size, p->what, p->number, e);
}

/* Reports what becomes of a layer from the archive `what`. */
static void explain(const struct writer *w, const char *diff_id, const char *what,
		    const char *done)
{
	inform("layer sha256:%s of %s: %s", diff_id, what,
	       writer_leaves_out(w, diff_id) ? "left out: --only does not list it"
	       : writer_has(w, diff_id)      ? "not copied: the new archive has it"
					     : done);
}

int writer_pass(struct writer *w, struct unpack_stream *s, const struct layernote *note,
		uint64_t size, const char *what, size_t number, struct err *e)
{
	struct passing p = {s, note->diff_id, what, size, number};

	explain(w, note->diff_id, what, w->verify ? "copied and hashed" : "copied");
	if (writer_leaves_out(w, note->diff_id)) {
		writer_absent(w, note->diff_id, size);
		return 0;
	}
	return add(
	    w, &(struct source){note->diff_id, note->comment, size, write_passing, &p},
	    e);
}

/*
 * The comments of the image's history, by layer. An element is NULL if the layer has
 * none, or if the history has another number of layers.
 */
static const char **comments_of(const struct image *im)
{
	const char **comment = mem_zero(im->n, sizeof *comment);
	const json_t *history = json_object_get(im->config, "history");
	size_t layer = 0;

	for (size_t i = 0; i < json_array_size(history); i++) {
		const json_t *entry = json_array_get(history, i);
		if (!json_is_true(json_object_get(entry, "empty_layer")) &&
		    layer++ < im->n)
			comment[layer - 1] = json_string_at(entry, "comment");
	}
	for (size_t i = 0; layer != im->n && i < im->n; i++)
		comment[i] = NULL;
	return comment;
}

/* A layer of an image. */
struct opened {
	const struct image *image;
	size_t i;
	struct image_bytes bytes;
	struct writer *writer;
	uint64_t done; /* bytes */
};

static int write_block(void *arg, const void *data, size_t len, struct err *e)
{
	struct opened *o = arg;
	struct writer *w = o->writer;

	(void)e;
	put(w, data, len);
	o->done += len;
	progress("layers", w->layer.n - 1, 0, w->bytes - o->bytes.size + o->done, 0);
	return 0;
}

static int write_opened(void *arg, struct writer *w, struct err *e)
{
	struct opened *o = arg;

	o->writer = w;
	return image_layer_read(o->image, o->i, &o->bytes, write_block, o, e);
}

static bool is_thin(const struct image *im)
{
	size_t i = 0;

	while (i < im->n && im->layer[i].place != NULL)
		i++;
	return i < im->n;
}

/*
 * Lists a layer that the image's archive lacks. The descriptor must be of another blob,
 * or the layer must be left out of the new archive, too.
 */
static int copy_absent(struct writer *w, const struct image *im, size_t i,
		       const json_t *descriptor, struct err *e)
{
	const char *diff_id = im->layer[i].diff_id, *hex = manifest_hex(descriptor);
	struct manifest_blob blob;

	if (hex == NULL)
		return image_lacks(im, i, e);
	if (strcmp(hex, diff_id) == 0) {
		if (!writer_leaves_out(w, diff_id) ||
		    manifest_read(descriptor, &blob, e) < 0)
			return image_lacks(im, i, e);
		writer_absent(w, diff_id, (uint64_t)blob.size);
		return 0;
	}
	return writer_described(w, diff_id, descriptor, e) < 0
		   ? err_prefix(e, "%s", im->file)
		   : 0;
}

static int copy_layer(struct writer *w, const struct image *im, size_t i,
		      const char *comment, const json_t *descriptor, struct err *e)
{
	const char *diff_id = im->layer[i].diff_id;
	struct opened o = {.image = im, .i = i};

	explain(w, diff_id, im->file,
		im->layer[i].place != NULL ? "copied and hashed"
					   : "listed: the archive is thin");
	if (writer_has(w, diff_id))
		return 0;
	if (im->layer[i].place == NULL)
		return copy_absent(w, im, i, descriptor, e);
	if (image_layer_open(im, i, &o.bytes, e) < 0)
		return -1;
	if (writer_leaves_out(w, diff_id)) {
		writer_absent(w, diff_id, o.bytes.size);
		image_layer_close(&o.bytes);
		return 0;
	}
	int result =
	    add(w, &(struct source){diff_id, comment, o.bytes.size, write_opened, &o}, e);
	image_layer_close(&o.bytes);
	return result;
}

int writer_copy(struct writer *w, const struct image *im, struct err *e)
{
	const char **comment = comments_of(im);
	json_t *descriptor = NULL;
	json_t *manifest = is_thin(im) ? image_manifest(im, &descriptor) : NULL;
	const json_t *described = json_object_get(manifest, "layers");
	int result = 0;

	for (size_t i = 0; i < im->n && result == 0; i++) {
		result = copy_layer(w, im, i, comment[i] != NULL ? comment[i] : "",
				    json_array_get(described, i), e);
		progress("layers", w->layer.n, 0, w->bytes, 0);
	}
	json_decref(descriptor);
	json_decref(manifest);
	free(comment);
	return result;
}

void writer_end(struct writer *w)
{
	static const char mark[2 * TAR_BLOCK];

	put(w, mark, sizeof mark);
}
