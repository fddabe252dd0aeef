/*
 * json: read and write JSON documents.
 *
 * The documents are values of the jansson library. The module checks what jansson accepts
 * by default but image documents must not contain.
 *
 *	json_t *doc = json_read_file(file, JSON_LIMIT, &e);
 *	const char *arch = json_string_at(doc, "architecture");
 *	json_decref(doc);
 */
#ifndef DT_JSON_H
#define DT_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct err;

/*
 * The largest document in bytes, for reading and for writing. podman and skopeo have the
 * same limit for manifests and configurations.
 */
enum { JSON_LIMIT = 4 << 20 };

/*
 * Parses one document. Duplicate keys and invalid UTF-8 are errors. Returns a new
 * reference, or NULL with the reason in `e`, which names the document as `what`.
 */
json_t *json_parse(const char *text, size_t len, const char *what, struct err *e);

/* Does the same with a file of at most `limit` bytes. The name "-" is standard input. */
json_t *json_read_file(const char *file, size_t limit, struct err *e);

/*
 * Appends the document in compact form. Keys keep the order in which they were set. Ends
 * the process if the document cannot be encoded.
 */
void json_write(const json_t *doc, struct buf *out);

/*
 * Overwrites the memory of documents when it is freed, because some documents hold
 * passwords. Must be called before the first document is created.
 */
void json_wipe_freed(void);

/*
 * Returns the end of the JSON value that starts at `text`, which has `len` bytes. Other
 * text may follow the value. Returns NULL if no valid value starts there.
 */
const char *json_value_end(const char *text, size_t len);

/*
 * Returns the string under `key`, or NULL if the key is missing or its value is not a
 * string.
 */
const char *json_string_at(const json_t *object, const char *key);

/* Returns the new JSON string "sha256:HEX". */
json_t *json_digest(const char *hex);

/*
 * Checks that `object` is an object whose values are strings. Returns 0, or -1 and a
 * reason, which names a key with another value.
 */
int json_check_strings(json_t *object, struct err *e);

/* Returns whether `list` is an array that contains only strings. */
bool json_are_strings(const json_t *list);

#endif
