#include "base/json.h"

#include "base/buf.h"
#include "base/err.h"

#include "tap.h"

static void is_read(const char *text, const char *want, const char *what)
{
	struct buf out = {0};
	struct err e;
	json_t *doc = json_parse(text, strlen(text), "text", &e);

	if (doc != NULL) {
		json_write(doc, &out);
		tap_is(out.data, want, what);
	} else {
		tap_is(e.text, want, what);
	}
	json_decref(doc);
	buf_release(&out);
}

static void is_refused(const char *text, size_t len, const char *what)
{
	struct err e = {""};
	json_t *doc = json_parse(text, len, "text", &e);

	if (!tap_ok(doc == NULL && strncmp(e.text, "text:", 5) == 0, what))
		printf("# %s\n", e.text);
	json_decref(doc);
}

int main(void)
{
	struct buf deep = {0};
	struct err e;

	is_read("{\"z\": 1, \"a\": [true, null, \"\\u00e9\"]}",
		"{\"z\":1,\"a\":[true,null,\"\xc3\xa9\"]}", "keys keep their order");
	is_read("\"a\"", "\"a\"", "a string alone");
	is_read("9223372036854775807", "9223372036854775807", "a large number");
	is_read("\"/\\n\\u001f\"", "\"/\\n\\u001F\"", "escapes");
	is_refused("", 0, "nothing");
	is_refused("{", 1, "truncated");
	is_refused("{} {}", 5, "two documents");
	is_refused("{\"a\":1,\"a\":2}", 13, "a key twice");
	is_refused("\"\xff\"", 3, "no UTF-8");
	is_refused("\"a\0b\"", 5, "a NUL byte");
	is_refused("[true\0]", 7, "a NUL byte after a word");
	is_refused("[1\0]", 4, "a NUL byte after a number");
	is_refused("\"\\u0000\"", 8, "an escaped NUL byte");
	is_refused("9223372036854775808", 19, "too large a number");
	for (int i = 0; i < 100000; i++)
		buf_addch(&deep, '[');
	is_refused(deep.data, deep.len, "too deep");
	buf_release(&deep);

	json_t *doc = json_parse("{\"s\":\"x\",\"n\":1}", 15, "text", &e);
	tap_is(json_string_at(doc, "s"), "x", "a string under a key");
	tap_ok(json_string_at(doc, "n") == NULL, "no string under a key");
	tap_ok(json_string_at(doc, "x") == NULL, "nothing under a key");
	json_decref(doc);

	tap_ok(json_read_file("/nowhere", 10, &e) == NULL, "no file");
	tap_is(e.text, "/nowhere: No such file or directory", "which is said");
	tap_ok(json_read_file("/proc/self/status", 10, &e) == NULL, "too large a file");
	tap_is(e.text, "/proc/self/status: more than 10 bytes of JSON", "which is said");
	tap_ok(json_read_file("/dev/null", 10, &e) == NULL, "an empty file");
	return tap_done();
}
