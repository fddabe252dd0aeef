#include "image/layout.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char blobs[] = "blobs/sha256/", stubs[] = "absent/sha256/";

_Static_assert(sizeof blobs + DIGEST_HEX == LAYOUT_BLOB, "the size of a name");
_Static_assert(sizeof stubs + DIGEST_HEX == LAYOUT_STUB, "the size of a name");

const char *const layout_lists[LAYOUT_LISTS] = {"index.json", "oci-layout",
						"manifest.json"};

void layout_blob(const char *hex, char name[LAYOUT_BLOB])
{
	snprintf(name, LAYOUT_BLOB, "%s%s", blobs, hex);
}

void layout_stub(const char *hex, char name[LAYOUT_STUB])
{
	snprintf(name, LAYOUT_STUB, "%s%s", stubs, hex);
}

json_t *layout_json(const char *hex)
{
	char name[LAYOUT_BLOB];

	layout_blob(hex, name);
	return json_string(name);
}

/* The hex digest that follows the prefix in the name, or NULL. */
static const char *hex_behind(const char *prefix, const char *name)
{
	size_t len = strlen(prefix);

	if (name == NULL || strncmp(name, prefix, len) != 0)
		return NULL;
	return digest_is_hex(name + len) ? name + len : NULL;
}

const char *layout_hex(const char *name)
{
	return hex_behind(blobs, name);
}

const char *layout_stub_hex(const char *name)
{
	return hex_behind(stubs, name);
}
