#include "image/config.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/num.h"

#include <inttypes.h>
#include <string.h>

/*
 * The limits for a comment, in bytes. Each step halves the limit until the document fits.
 */
enum { LONGEST = 32 << 10, SHORTEST = 512 };

static const char list_begin[] = "store paths: [", separator[] = ", ", more[] = "and ";

static size_t encoded_size(const json_t *doc)
{
	struct buf text = {0};

	json_write(doc, &text);
	size_t size = text.len;
	buf_release(&text);
	return size;
}

/* Counts the paths in the rest of a list. Its last element may be "and N more". */
static uint64_t count_paths(const char *list)
{
	uint64_t n = 0, others;

	for (const char *p = list; p != NULL; p = strstr(p, separator)) {
		p += p == list ? 0 : sizeof separator - 1;
		if (strncmp(p, more, sizeof more - 1) != 0)
			n++;
		else if (num_parse(p + sizeof more - 1,
				   strspn(p + sizeof more - 1, "0123456789"), UINT32_MAX,
				   &others) == 0)
			n += others;
	}
	return n;
}

/*
 * Shortens a list of store paths to about `limit` bytes. Returns a new string, or NULL if
 * the comment is not such a list or is short enough.
 */
static json_t *shortened(const char *comment, size_t limit)
{
	size_t len = strlen(comment);
	const char *end = NULL, *p = comment;
	struct buf text = {0};

	if (len <= limit || strncmp(comment, list_begin, sizeof list_begin - 1) != 0 ||
	    comment[len - 1] != ']')
		return NULL;
	while ((p = strstr(p, separator)) != NULL &&
	       (end == NULL || (size_t)(p - comment) <= limit)) {
		end = p;
		p += sizeof separator - 1;
	}
	if (end == NULL || strncmp(end + 2, more, sizeof more - 1) == 0)
		return NULL;
	buf_add(&text, comment, (size_t)(end - comment));
	buf_addf(&text, ", and %" PRIu64 " more]", count_paths(end + 2));
	json_t *result = json_stringn(text.data, text.len);
	buf_release(&text);
	return result;
}

/* Shortens every comment of the history that is a list of store paths. */
static void shorten(json_t *history, size_t limit)
{
	json_t *entry;
	size_t i;

	json_array_foreach(history, i, entry)
	{
		const char *comment = json_string_at(entry, "comment");
		json_t *text = comment != NULL ? shortened(comment, limit) : NULL;
		if (text == NULL)
			continue;
		/*
		 * Copies the entry, because the base image's configuration may share it.
		 */
		json_t *copy = json_copy(entry);
		json_object_set_new(copy, "comment", text);
		json_array_set_new(history, i, copy);
	}
}

/* Parsers limit the depth of a document, and jansson writes deeper ones. */
static int check_depth(const json_t *doc, struct err *e)
{
	struct buf text = {0};
	struct err unused;

	json_write(doc, &text);
	json_t *again = json_parse(text.data, text.len, "", &unused);
	buf_release(&text);
	if (again == NULL)
		return err_set(e, "the image's configuration would be nested too deeply "
				  "to be read; simplify --config");
	json_decref(again);
	return 0;
}

int config_fit(json_t *doc, struct err *e)
{
	json_t *history = json_object_get(doc, "history");
	size_t size = encoded_size(doc);

	for (size_t limit = LONGEST; size > JSON_LIMIT && limit >= SHORTEST; limit /= 2) {
		shorten(history, limit);
		size = encoded_size(doc);
	}
	if (size > JSON_LIMIT)
		return err_set(e,
			       "the image's configuration would have %zu bytes, but dt, "
			       "podman and skopeo read at most %d; shorten --config or "
			       "the layers' --comment",
			       size, JSON_LIMIT);
	return check_depth(doc, e);
}
