#include "registry/referrers.h"

#include "base/buf.h"
#include "base/err.h"
#include "image/manifest.h"

#include <stdio.h>
#include <string.h>

void referrers_tag(const char *hex, char tag[REFERRERS_TAG])
{
	snprintf(tag, REFERRERS_TAG, "sha256-%s", hex);
}

json_t *referrers_new(void)
{
	json_t *entries = json_array(), *list = manifest_index(entries);

	json_decref(entries);
	return list;
}

json_t *referrers_read(const struct buf *text, struct err *e)
{
	struct manifest m;
	json_t *list = NULL;

	if (manifest_parse(&m, text->data, text->len, NULL, e) == 0) {
		const char *type = json_string_at(m.doc, "mediaType");
		if (m.is_index &&
		    (type == NULL || strcmp(type, manifest_index_type) == 0))
			list = json_incref(m.doc);
		else
			err_set(e, "not an OCI index");
	}
	manifest_release(&m);
	return list;
}

static bool lists(const json_t *entries, const char *digest)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(entries, i, entry)
	{
		const char *text = json_string_at(entry, "digest");
		if (text != NULL && strcmp(text, digest) == 0)
			return true;
	}
	return false;
}

bool referrers_add(json_t *list, json_t *descriptor)
{
	json_t *entries = json_object_get(list, "manifests");

	if (lists(entries, json_string_at(descriptor, "digest")))
		return false;
	json_array_append(entries, descriptor);
	return true;
}
