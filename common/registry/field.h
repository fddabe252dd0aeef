/*
 * field: parse the values of HTTP header fields that a server sent.
 *
 * `value` is NULL if the response does not have the field. An invalid value counts as a
 * missing field:
 *
 *	if (field_kept(header("Range"), &kept))
 *		continue the upload at `kept`;
 */
#ifndef DT_FIELD_H
#define DT_FIELD_H

#include <stdbool.h>
#include <stdint.h>

enum { FIELD_TYPE = 128 }; /* bytes for a media type and its NUL */

/*
 * Sets `type` to the media type in a Content-Type, in lower case, without parameters; or
 * to "" if it has control characters or is not ASCII.
 */
void field_type(const char *value, char type[FIELD_TYPE]);

/* Parses a decimal number up to INT64_MAX, such as a Content-Length. */
bool field_number(const char *value, uint64_t *out);

/*
 * Parses the Range of an upload, "0-LAST" or "bytes=0-LAST". Sets *kept to the number of
 * bytes that the registry has: LAST + 1, but 0 for "0-0", which registries send for an
 * empty upload.
 */
bool field_kept(const char *value, uint64_t *kept);

/* Parses a Content-Range, "bytes FIRST-LAST/ALL" (RFC 9110, 14.4). Sets *first. */
bool field_first(const char *value, uint64_t *first);

#endif
