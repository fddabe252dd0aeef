#include "image/repack.h"

#include "archive/unpack.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/progress.h"
#include "image/layercheck.h"
#include "image/layernote.h"
#include "image/layout.h"
#include "image/manifest.h"
#include "image/packed.h"
#include "image/writer.h"

#include <stdlib.h>
#include <string.h>

/* The blob that replaces a blob of the input. */
struct repack_blob {
	char hex[DIGEST_HEX + 1];
	uint64_t size;
	bool is_layer; /* it is compressed here */
};

void repack_release(struct repack *r)
{
	if (r->compress != NULL)
		r->compress->release(r->compress);
	strset_release(&r->names);
	strset_release(&r->documents);
	free(r->blob);
	*r = (struct repack){
	    .out = r->out, .format = r->format, .level = r->level, .all = r->all};
}

/* --- blobs --- */

static const struct repack_blob *find_blob(const struct repack *r, const char *hex)
{
	uint32_t i = hex != NULL ? strset_find(&r->names, hex, DIGEST_HEX) : STRSET_NONE;

	return i != STRSET_NONE ? &r->blob[i] : NULL;
}

/* Records that the blob `old` of the input is now the blob `hex`. */
static void add_blob(struct repack *r, const char *old, const char *hex, uint64_t size,
		     bool is_layer)
{
	uint32_t i = strset_add(&r->names, old, DIGEST_HEX);

	r->blob = mem_grow(r->blob, &r->cap, r->names.n, sizeof *r->blob);
	r->blob[i] = (struct repack_blob){.size = size, .is_layer = is_layer};
	memcpy(r->blob[i].hex, hex, sizeof r->blob[i].hex);
}

static void write_file(const struct repack *r, const struct packed *p)
{
	char name[LAYOUT_BLOB];

	layout_blob(p->hex, name);
	writer_member_file(r->out, name, p->fd, p->size);
}

/* The current member, on its way into a compressor. */
struct passing {
	struct repack *repack;
	struct layercheck check;
};

static int pass_layer(void *arg, const void *data, size_t len, struct err *e)
{
	struct passing *p = arg;
	struct repack *r = p->repack;

	layercheck_see(&p->check, data, len);
	r->bytes += len;
	progress("layers", r->layers - 1, 0, r->bytes, r->all);
	return r->compress->add(r->compress, data, len, e);
}

/* Compresses the current member, a layer, into `p`. */
static int compress_layer(struct repack *r, struct unpack_stream *s, const char *diff_id,
			  uint64_t size, struct packed *p, struct err *e)
{
	struct passing passing = {.repack = r};

	r->compress->restart(r->compress, p);
	layercheck_begin(&passing.check);
	int result = unpack_pass(s, pass_layer, &passing, e);
	result =
	    layercheck_end(&passing.check, result, diff_id, size, r->what, r->layers, e);
	if (result == 0)
		result = r->compress->end(r->compress, e);
	return packed_end(p, result, e);
}

static int take_layer(struct repack *r, struct unpack_stream *s,
		      const struct unpack_member *m, const char *diff_id, struct err *e)
{
	struct packed p = {0};

	r->layers++;
	if (r->compress == NULL)
		r->compress = packed_compressor(r->format, r->level);
	if (packed_begin(&p, e) < 0)
		return -1;
	int result = compress_layer(r, s, diff_id, m->size, &p, e);
	if (result == 0) {
		inform("layer sha256:%s: compressed, %.1f MB to %.1f MB, as blob "
		       "sha256:%s",
		       diff_id, (double)m->size / 1e6, (double)p.size / 1e6, p.hex);
		add_blob(r, diff_id, p.hex, p.size, true);
		write_file(r, &p);
	}
	packed_release(&p);
	return result;
}

static int check_digest(const struct repack *r, const char *name, const char *hex,
			struct err *e)
{
	return digest_is_same(name, hex)
		   ? 0
		   : err_set(e, "%s: blob sha256:%s has the digest %s", r->what, name,
			     hex);
}

/* Copies the current member, which is no document: a layer that is compressed already. */
static int copy_blob(struct repack *r, struct unpack_stream *s, const char *hex,
		     struct err *e)
{
	struct packed p = {0};

	if (packed_begin(&p, e) < 0)
		return -1;
	int result = packed_end(&p, unpack_pass(s, packed_append, &p, e), e);
	if (result == 0)
		result = check_digest(r, hex, p.hex, e);
	if (result == 0) {
		add_blob(r, hex, p.hex, p.size, false);
		write_file(r, &p);
	}
	packed_release(&p);
	return result;
}

/* --- documents --- */

/* The reason why a document cannot list a blob that does not precede it. */
static int refuse(const struct repack *r, const char *hex, struct err *e)
{
	return err_set(e,
		       "%s: blob sha256:%s does not precede a document that lists it: "
		       "the archive is thin, or dt-merge must convert it",
		       r->what, hex != NULL ? hex : "?");
}

/* Makes a descriptor that is not of a layer refer to the blob as it is now. */
static int follow(const struct repack *r, json_t *descriptor, struct err *e)
{
	const struct repack_blob *b = find_blob(r, manifest_hex(descriptor));

	if (b == NULL)
		return refuse(r, manifest_hex(descriptor), e);
	manifest_refer(descriptor, NULL, b->hex, b->size);
	return 0;
}

/* Does the same with the descriptor of a layer. */
static int follow_layer(const struct repack *r, json_t *descriptor, struct err *e)
{
	const char *type = json_string_at(descriptor, "mediaType");
	const struct repack_blob *b = find_blob(r, manifest_hex(descriptor));
	enum compress_format format =
	    type != NULL ? manifest_layer_format(type) : COMPRESS_NONE;
	struct buf new = {0};

	if (b == NULL)
		return refuse(r, manifest_hex(descriptor), e);
	if (!b->is_layer && format == COMPRESS_NONE)
		return err_set(e,
			       "%s: blob sha256:%s is an uncompressed layer of another "
			       "program's archive, which dt-merge converts",
			       r->what, b->hex);
	if (!b->is_layer) {
		inform("blob sha256:%s: copied: it is compressed already", b->hex);
		return 0;
	}
	manifest_layer_type(type != NULL ? type : manifest_media(NULL)->layer, r->format,
			    &new);
	manifest_refer(descriptor, new.data, b->hex, b->size);
	buf_release(&new);
	return 0;
}

static int follow_all(const struct repack *r, json_t *list,
		      int (*one)(const struct repack *r, json_t *d, struct err *e),
		      struct err *e)
{
	json_t *descriptor;
	size_t i;

	json_array_foreach(list, i, descriptor)
	{
		if (one(r, descriptor, e) < 0)
			return -1;
	}
	return 0;
}

/* Returns the name of the blob as it is now, or NULL and a reason. */
static json_t *new_name(const struct repack *r, const json_t *name, struct err *e)
{
	const char *hex = layout_hex(json_string_value(name));
	const struct repack_blob *b = find_blob(r, hex);

	if (b != NULL)
		return layout_json(b->hex);
	(void)refuse(r, hex, e);
	return NULL;
}

/* Changes Docker's list of images. */
static int follow_docker(const struct repack *r, json_t *list, struct err *e)
{
	json_t *image, *layer, *name;
	size_t i, k;

	json_array_foreach(list, i, image)
	{
		json_t *layers = json_object_get(image, "Layers");
		name = new_name(r, json_object_get(image, "Config"), e);
		if (name == NULL)
			return -1;
		json_object_set_new(image, "Config", name);
		json_array_foreach(layers, k, layer)
		{
			name = new_name(r, layer, e);
			if (name == NULL)
				return -1;
			json_array_set_new(layers, k, name);
		}
	}
	return 0;
}

/* Changes the digests in a document. Documents that have none do not change. */
static int follow_document(const struct repack *r, json_t *doc, struct err *e)
{
	json_t *config = json_object_get(doc, "config"),
	       *layers = json_object_get(doc, "layers"),
	       *subject = json_object_get(doc, "subject");

	if (json_is_array(doc))
		return follow_docker(r, doc, e);
	/* A configuration has no such version. */
	if (!json_is_integer(json_object_get(doc, "schemaVersion")))
		return 0;
	if (follow_all(r, json_object_get(doc, "manifests"), follow, e) < 0)
		return -1;
	if (find_blob(r, manifest_hex(subject)) != NULL && follow(r, subject, e) < 0)
		return -1;
	if (!json_is_array(layers))
		return 0;
	return follow(r, config, e) < 0 ? -1 : follow_all(r, layers, follow_layer, e);
}

/* Replaces the text of a document by that of the new document, if it is another one. */
static int change_document(const struct repack *r, const char *name, struct buf *text,
			   struct err *e)
{
	json_t *doc = json_parse(text->data, text->len, name, e);
	json_t *old = json_deep_copy(doc);

	if (doc == NULL)
		return err_prefix(e, "%s", r->what);
	int result = follow_document(r, doc, e);
	if (result == 0 && !json_equal(doc, old)) {
		buf_clear(text);
		json_write(doc, text);
		if (text->len > JSON_LIMIT)
			result = err_set(e, "%s: '%s' would have more than %d bytes",
					 r->what, name, JSON_LIMIT);
	}
	json_decref(old);
	json_decref(doc);
	return result;
}

static bool is_object(const struct buf *text)
{
	return text->len > 0 && text->data[0] == '{';
}

/* Writes the text of a blob, which may be a document. */
static int put_blob(struct repack *r, const char *hex, struct buf *text, struct err *e)
{
	char now[DIGEST_HEX + 1], name[LAYOUT_BLOB];

	digest_of(text->data, text->len, now);
	int result = check_digest(r, hex, now, e);
	if (result == 0 && is_object(text))
		result = change_document(r, hex, text, e);
	if (result == 0) {
		digest_of(text->data, text->len, now);
		add_blob(r, hex, now, text->len, false);
		layout_blob(now, name);
		writer_member(r->out, name, text);
	}
	return result;
}

/* Handles a blob without a note. */
static int take_blob(struct repack *r, struct unpack_stream *s,
		     const struct unpack_member *m, const char *hex, struct err *e)
{
	struct buf text = {0};

	if (find_blob(r, hex) != NULL)
		return 0;
	if (m->size > JSON_LIMIT)
		return copy_blob(r, s, hex, e);
	int result = unpack_read(s, &text, JSON_LIMIT, e);
	if (result == 0)
		result = put_blob(r, hex, &text, e);
	buf_release(&text);
	return result;
}

/* Handles the document `name`, which is not a blob: a list of images, or oci-layout. */
static int take_document(struct repack *r, struct unpack_stream *s, const char *name,
			 struct err *e)
{
	size_t before = r->documents.n;
	struct buf text = {0};

	strset_add(&r->documents, name, strlen(name));
	if (r->documents.n == before)
		return err_set(e, "%s: member '%s' occurs twice", r->what, name);
	int result = unpack_read(s, &text, JSON_LIMIT, e);
	if (result == 0)
		result = change_document(r, name, &text, e);
	if (result == 0)
		writer_member(r->out, name, &text);
	buf_release(&text);
	return result;
}

/* --- the archive --- */

static int take_noted(struct repack *r, struct unpack_stream *s,
		      const struct unpack_member *m, const struct layernote *note,
		      struct err *e)
{
	if (note->is_stub)
		return err_set(e, "%s: a thin archive, without layer sha256:%s", r->what,
			       note->diff_id);
	if (r->documents.n > 0)
		return err_set(e, "%s: layer sha256:%s belongs to no image", r->what,
			       note->diff_id);
	if (find_blob(r, note->diff_id) != NULL)
		return 0;
	return take_layer(r, s, m, note->diff_id, e);
}

static int take_other(struct repack *r, struct unpack_stream *s,
		      const struct unpack_member *m, struct err *e)
{
	const char *hex = layout_hex(m->name);
	char copy[DIGEST_HEX + 1];

	if (!m->is_file)
		return 0;
	if (hex != NULL) {
		memcpy(copy, hex, sizeof copy);
		return take_blob(r, s, m, copy, e);
	}
	for (size_t i = 0; i < LAYOUT_LISTS; i++)
		if (strcmp(m->name, layout_lists[i]) == 0)
			return take_document(r, s, layout_lists[i], e);
	return err_set(e,
		       "%s: member '%s' does not belong to an image archive of dt; "
		       "dt-merge converts archives of other programs",
		       r->what, m->name);
}

static int take_member(struct repack *r, struct unpack_stream *s,
		       const struct unpack_member *m, struct err *e)
{
	struct layernote note;
	int result = layernote_read(&note, m, e);

	if (result < 0)
		err_prefix(e, "%s", r->what);
	else if (result > 0)
		result = take_noted(r, s, m, &note, e);
	else
		result = take_other(r, s, m, e);
	layernote_release(&note);
	return result;
}

static int check_index(const struct repack *r, struct err *e)
{
	static const char index[] = "index.json";

	if (strset_find(&r->documents, index, sizeof index - 1) != STRSET_NONE)
		return 0;
	return err_set(e, "%s: not an image archive, it has no member '%s'", r->what,
		       index);
}

int repack_stream(struct repack *r, int fd, const char *what, struct err *e)
{
	struct unpack_stream *s = unpack_stream_new(fd, what);
	struct unpack_member m;
	int result;

	r->what = what;
	while ((result = unpack_next(s, &m, e)) > 0) {
		result = take_member(r, s, &m, e);
		if (result < 0)
			break;
	}
	unpack_stream_release(s);
	return result == 0 ? check_index(r, e) : -1;
}
