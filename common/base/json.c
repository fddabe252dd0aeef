#include "base/json.h"

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

json_t *json_parse(const char *text, size_t len, const char *what, struct err *e)
{
	json_error_t why;

	/* jansson ignores a NUL byte after a number, true, false or null. */
	if (len > 0 && memchr(text, '\0', len) != NULL) {
		err_set(e, "%s: not JSON: it has a NUL byte", what);
		return NULL;
	}
	json_t *doc =
	    json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (doc == NULL)
		err_set(e, "%s:%d:%d: not JSON: %s", what, why.line, why.column,
			why.text);
	return doc;
}

json_t *json_read_file(const char *file, size_t limit, struct err *e)
{
	const char *what = io_name(file);
	struct buf text = {0};
	json_t *doc = NULL;

	if (io_slurp_file(file, &text, limit) < 0) {
		if (errno == EFBIG)
			err_set(e, "%s: more than %zu bytes of JSON", what, limit);
		else
			err_set_errno(e, "%s", what);
	} else {
		doc = json_parse(text.data, text.len, what, e);
	}
	buf_release(&text);
	return doc;
}

static int add(const char *data, size_t len, void *out)
{
	buf_add(out, data, len);
	return 0;
}

void json_write(const json_t *doc, struct buf *out)
{
	if (json_dump_callback(doc, add, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
		die("cannot write JSON");
}

void json_wipe_freed(void)
{
	json_set_alloc_funcs(malloc, mem_wiping_free);
}

const char *json_value_end(const char *text, size_t len)
{
	json_error_t where;
	json_t *value =
	    json_loadb(text, len, JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &where);

	if (value == NULL)
		return NULL;
	json_decref(value);
	return text + where.position;
}

const char *json_string_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

json_t *json_digest(const char *hex)
{
	char text[DIGEST_REFERENCE];

	digest_reference(hex, text);
	return json_string(text);
}

int json_check_strings(json_t *object, struct err *e)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return err_set(e, "not an object");
	json_object_foreach(object, key, value)
	{
		if (!json_is_string(value))
			return err_set(e, "the value of '%s' is not a string", key);
	}
	return 0;
}

bool json_are_strings(const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!json_is_string(json_array_get(list, i)))
			return false;
	return json_is_array(list);
}
