/*
 * layout: the names of the members of an image archive, which are the files of an OCI
 * image layout.
 *
 *	char name[LAYOUT_BLOB];
 *	layout_blob(hex, name);
 *	place = unpack_find(&index, name, &e);
 *
 * Specification: OCI image specification, image-layout.md.
 */
#ifndef DT_LAYOUT_H
#define DT_LAYOUT_H

#include "base/digest.h"
#include "base/json.h"

/* Writes the name of the blob with this digest: "blobs/sha256/HEX". */
enum { LAYOUT_BLOB = 13 + DIGEST_HEX + 1 };
void layout_blob(const char *hex, char name[LAYOUT_BLOB]);

/* Returns this name as a new JSON string. */
json_t *layout_json(const char *hex);

/* The hex digest in the name of a blob, or NULL if `name` is NULL or no such name. */
const char *layout_hex(const char *name);

/*
 * The same for a stub, "absent/sha256/HEX". It takes the place of a layer in a layer
 * archive, dt-image(5), and is in no image layout.
 */
enum { LAYOUT_STUB = 14 + DIGEST_HEX + 1 };
void layout_stub(const char *hex, char name[LAYOUT_STUB]);
const char *layout_stub_hex(const char *name);

/*
 * The documents that list the images, in the order in which they are written. The last
 * one is Docker's manifest.json, which an OCI image layout lacks.
 */
enum { LAYOUT_LISTS = 3 };
extern const char *const layout_lists[LAYOUT_LISTS];

#endif
