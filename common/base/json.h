/*
 * json: JSON documents, by jansson.
 */
#ifndef DT_JSON_H
#define DT_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct err;

/*
 * The bytes of any one document: more are neither read nor written. podman and skopeo
 * have the same limit for manifests and configurations.
 */
enum { JSON_LIMIT = 4 << 20 };

/*
 * Parses one document; `what` names it in the reason. Duplicate keys and bytes that are
 * no UTF-8 are refused. Returns a new reference, or NULL and why.
 */
json_t *json_parse(const char *text, size_t len, const char *what, struct err *e);

/* The same of a file ("-": standard input) of at most `limit` bytes. */
json_t *json_read_file(const char *file, size_t limit, struct err *e);

/* Appends the document without needless blanks, keys in the order they were set. */
void json_write(const json_t *doc, struct buf *out);

/*
 * From now on, the memory of documents is overwritten when it is freed: some hold
 * passwords. Called before any document is made.
 */
void json_wipe_freed(void);

/*
 * The end of the JSON value that begins at `text`, which is at most `len` bytes long and
 * may be followed by anything; NULL if none begins there.
 */
const char *json_value_end(const char *text, size_t len);

/* The string under `key`, or NULL if there is none or it is not a string. */
const char *json_string_at(const json_t *object, const char *key);

/* A new string of both texts; and "sha256:HEX", as documents have a digest. */
json_t *json_joined(const char *first, const char *second);
json_t *json_digest(const char *hex);

/* Whether it is an array of strings. */
bool json_are_strings(const json_t *list);

#endif
