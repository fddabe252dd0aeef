/*
 * referrers: the list of the documents about an image.
 *
 * Clients maintain this list if the registry does not. It is an index under the tag that
 * referrers_tag() returns:
 *
 *	list = referrers_read(&text, &e);	or an empty one: referrers_new()
 *	if (list != NULL && referrers_add(list, entry))
 *		store it
 *
 * Specification: OCI distribution specification, "Referrers Tag Schema".
 */
#ifndef DT_REFERRERS_H
#define DT_REFERRERS_H

#include "base/digest.h"
#include "base/json.h"

#include <stdbool.h>

struct buf;
struct err;

enum { REFERRERS_TAG = sizeof "sha256-" + DIGEST_HEX };

/* Sets `tag` to the tag for the image with this digest. */
void referrers_tag(const char *hex, char tag[REFERRERS_TAG]);

/* Returns an empty list. */
json_t *referrers_new(void);

/* Parses a list. Returns a new reference, or NULL and a reason. */
json_t *referrers_read(const struct buf *text, struct err *e);

/*
 * Adds a descriptor, unless the list has one with this digest. Other entries stay as they
 * are. Returns whether it was added.
 */
bool referrers_add(json_t *list, json_t *descriptor);

#endif
