#include "image/layernote.h"

#include "archive/tar.h"
#include "archive/unpack.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "image/layout.h"

#include <stdlib.h>
#include <string.h>

static const char record[] = "comment";

/*
 * libarchive and other readers reject headers of more than 1 MiB. The difference leaves
 * room for other records.
 */
enum { NOTE_MAX = (1 << 20) - 4096 };

/* Appends the record. `size` is NULL for a layer; the note owns it. */
static void write_note(struct buf *records, const char *diff_id, json_t *size,
		       const char *comment)
{
	json_t *note = json_object(), *text = json_string(comment);
	struct buf line = {0};

	if (text == NULL)
		die("the comment of a layer is not UTF-8");
	json_object_set_new(note, "diff_id", json_digest(diff_id));
	if (size != NULL)
		json_object_set_new(note, "size", size);
	if (*comment != '\0') {
		json_t *history = json_object();
		json_object_set(history, "comment", text);
		json_object_set_new(note, "history", history);
	}
	json_write(note, &line);
	if (line.len > NOTE_MAX) {
		json_object_del(note, "history");
		buf_clear(&line);
		json_write(note, &line);
	}
	tar_record(records, record, line.data, line.len);
	buf_release(&line);
	json_decref(text);
	json_decref(note);
}

void layernote_write(struct buf *records, const char *diff_id, const char *comment)
{
	write_note(records, diff_id, NULL, comment);
}

void layernote_write_stub(struct buf *records, const char *diff_id, uint64_t size,
			  const char *comment)
{
	write_note(records, diff_id, json_integer((json_int_t)size), comment);
}

/* Sets the diff_id to `hex`, which must be equal to the digest in the entry's name. */
static int set_diff_id(struct layernote *n, const char *hex, size_t len,
		       const struct unpack_member *m, struct err *e)
{
	const char *stub = layout_stub_hex(m->name);
	const char *name = stub != NULL ? stub : layout_hex(m->name);

	n->is_stub = stub != NULL;
	if (name == NULL || hex == NULL || len != DIGEST_HEX ||
	    memcmp(name, hex, len) != 0)
		return err_set(e, "member '%s' is not named by its diff_id", m->name);
	memcpy(n->diff_id, name, sizeof n->diff_id);
	return 1;
}

static int read_json(struct layernote *n, const json_t *note,
		     const struct unpack_member *m, struct err *e)
{
	const char *id = json_string_at(note, "diff_id");
	const char *hex = id != NULL ? digest_strip(id) : NULL;
	const char *comment = json_string_at(json_object_get(note, "history"), "comment");

	const json_t *size = json_object_get(note, "size");

	n->comment = mem_strdup(comment != NULL ? comment : "");
	if (set_diff_id(n, hex, DIGEST_HEX, m, e) < 0)
		return -1;
	if (!n->is_stub)
		return 1;
	if (m->size != 0 || !json_is_integer(size) || json_integer_value(size) < 0)
		return err_set(
		    e, "member '%s' is not an empty stub with the layer's size", m->name);
	n->size = (uint64_t)json_integer_value(size);
	return 1;
}

/* Reads the records of former versions: DT.diff_id and DT.comment. */
static int read_old(struct layernote *n, const struct unpack_member *m, struct err *e)
{
	const char *hex, *comment = "";
	size_t len, comment_len = 0;

	if (!unpack_record(m, "DT.diff_id", &hex, &len))
		return 0;
	(void)unpack_record(m, "DT.comment", &comment, &comment_len);
	if (!utf8_is_valid(comment, comment_len))
		return err_set(e, "the comment of a layer is not UTF-8");
	n->comment = mem_strndup(comment, comment_len);
	if (set_diff_id(n, hex, len, m, e) < 0)
		return -1;
	return n->is_stub ? err_set(e, "member '%s' is a stub without a note", m->name)
			  : 1;
}

int layernote_read(struct layernote *n, const struct unpack_member *m, struct err *e)
{
	const char *text;
	size_t len;
	struct err why;
	json_t *note = NULL;

	*n = (struct layernote){0};
	/*
	 * Other programs write comments, too. A comment that is not a note is not an
	 * error.
	 */
	if (unpack_record(m, record, &text, &len) && text[0] == '{')
		note = json_parse(text, len, record, &why);
	int result = json_object_get(note, "diff_id") != NULL ? read_json(n, note, m, e)
							      : read_old(n, m, e);
	json_decref(note);
	return result;
}

void layernote_release(struct layernote *n)
{
	free(n->comment);
	*n = (struct layernote){0};
}
