#include "image/annotations.h"

#include "base/err.h"
#include "image/manifest.h"

#include <string.h>

json_t *annotations_read(const char *file, struct err *e)
{
	json_t *own = json_read_file(file, JSON_LIMIT, e);
	int result = 0;

	if (own == NULL)
		return NULL;
	if (json_check_strings(own, e) < 0)
		result = err_prefix(e, "annotations");
	else if (json_object_get(own, "") != NULL)
		result = err_set(e, "annotations: a key is empty");
	if (result == 0)
		return own;
	json_decref(own);
	return NULL;
}

/* Whether a label is an annotation, too. */
static bool is_annotation(const char *label)
{
	static const char prefix[] = "org.opencontainers.image.";

	return strncmp(label, prefix, sizeof prefix - 1) == 0 &&
	       strcmp(label, manifest_tag_key) != 0;
}

/* Adds the strings of `from`, or of its labels only, to `to`. */
static void add(json_t *to, json_t *from, bool only_labels)
{
	const char *key;
	json_t *value;

	json_object_foreach(from, key, value)
	{
		if (json_is_string(value) && (!only_labels || is_annotation(key)))
			json_object_set(to, key, value);
	}
}

json_t *annotations_of_image(json_t *own, const json_t *config)
{
	json_t *all = json_object();

	add(all, json_object_get(json_object_get(config, "config"), "Labels"), true);
	add(all, own, false);
	return all;
}

json_t *annotations_of_manifest(const json_t *manifest)
{
	json_t *all = json_object();

	add(all, json_object_get(manifest, "annotations"), false);
	return all;
}
