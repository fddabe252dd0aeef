#include "image/config.h"

#include "base/strset.h"

#include <stdbool.h>
#include <string.h>

/*
 * Adds the variables of `env` to `merged`. A variable that is already there is replaced
 * in its place.
 */
static void add_variables(json_t *merged, struct strset *seen, const json_t *env)
{
	for (size_t i = 0; i < json_array_size(env); i++) {
		json_t *entry = json_array_get(env, i);
		const char *s = json_string_value(entry);
		if (s == NULL)
			continue;
		uint32_t at = strset_add(seen, s, strcspn(s, "="));
		if (at == json_array_size(merged))
			json_array_append(merged, entry);
		else
			json_array_set(merged, at, entry);
	}
}

static json_t *merge_env(const json_t *base, const json_t *env)
{
	json_t *merged = json_array();
	struct strset seen = {0};

	add_variables(merged, &seen, base);
	add_variables(merged, &seen, env);
	strset_release(&seen);
	return merged;
}

/* The union of both objects. The value of `add` wins if both have a key. */
static json_t *unite(const json_t *base, json_t *add)
{
	json_t *both = json_is_object(base) ? json_deep_copy(base) : json_object();

	json_object_update(both, add);
	return both;
}

static bool is_united(const char *key)
{
	return strcmp(key, "Labels") == 0 || strcmp(key, "Volumes") == 0 ||
	       strcmp(key, "ExposedPorts") == 0;
}

/* The "config" of the base image, or a new object with its Env alone. */
static json_t *inherited(const struct config_image *parts)
{
	json_t *base = json_object_get(parts->base, "config"), *env, *result;

	if (!parts->env_only)
		return json_is_object(base) ? json_deep_copy(base) : json_object();
	result = json_object();
	env = json_object_get(base, "Env");
	if (env != NULL)
		json_object_set_new(result, "Env", json_deep_copy(env));
	return result;
}

static json_t *inherit(const struct config_image *parts)
{
	json_t *result = inherited(parts);
	json_t *own = json_deep_copy(parts->config), *value;
	const char *key;

	json_object_del(result, "OnBuild");
	if (json_object_get(own, "Entrypoint") != NULL)
		json_object_del(result, "Cmd");
	json_object_foreach(own, key, value)
	{
		const json_t *old = json_object_get(result, key);
		if (strcmp(key, "Env") == 0 && json_is_array(value))
			json_object_set_new(result, key, merge_env(old, value));
		else if (is_united(key) && json_is_object(value))
			json_object_set_new(result, key, unite(old, value));
		else
			json_object_set(result, key, value);
	}
	json_decref(own);
	return result;
}

bool config_is_docker(const json_t *image)
{
	static const char *const keys[] = {"Healthcheck", "OnBuild", "Shell",
					   "StopTimeout"};
	const json_t *config = json_object_get(image, "config");

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const json_t *value = json_object_get(config, keys[i]);
		if (json_object_size(value) > 0 || json_array_size(value) > 0 ||
		    json_is_integer(value))
			return true;
	}
	return false;
}

json_t *config_history(const char *created, const char *comment)
{
	json_t *entry = json_object();

	json_object_set_new(entry, "created", json_string(created));
	if (*comment != '\0')
		json_object_set_new(entry, "comment", json_string(comment));
	return entry;
}

static json_t *base_diff_ids(const struct config_image *parts)
{
	return json_object_get(json_object_get(parts->base, "rootfs"), "diff_ids");
}

/* Whether the history has exactly `n` entries that are not marked as empty layers. */
static bool fits_layers(const json_t *history, size_t n)
{
	size_t layers = 0;

	for (size_t i = 0; i < json_array_size(history); i++) {
		const json_t *entry = json_array_get(history, i);
		if (!json_is_object(entry))
			return false;
		if (!json_is_true(json_object_get(entry, "empty_layer")))
			layers++;
	}
	return json_is_array(history) && layers == n;
}

static json_t *whole_history(const struct config_image *parts)
{
	json_t *history = json_array(), *old = json_object_get(parts->base, "history");
	const char *created = json_string_at(parts->base, "created");
	size_t n = json_array_size(base_diff_ids(parts));

	if (created == NULL)
		created = parts->created;
	if (fits_layers(old, n))
		json_array_extend(history, old);
	else
		for (size_t i = 0; i < n; i++)
			json_array_append_new(history, config_history(created, ""));
	json_array_extend(history, parts->history);
	return history;
}

static void set_platform(json_t *doc, const struct config_image *parts)
{
	static const char *const keys[] = {"architecture", "variant", "os", "os.version",
					   "os.features"};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		json_t *value = json_object_get(parts->base, keys[i]);
		if (value != NULL)
			json_object_set(doc, keys[i], value);
	}
	if (parts->arch != NULL) {
		json_object_set_new(doc, "architecture", json_string(parts->arch));
		json_object_del(doc, "variant");
		if (parts->variant[0] != '\0')
			json_object_set_new(doc, "variant", json_string(parts->variant));
	}
	if (parts->os != NULL || json_object_get(doc, "os") == NULL)
		json_object_set_new(doc, "os",
				    json_string(parts->os != NULL ? parts->os : "linux"));
}

json_t *config_image(const struct config_image *parts)
{
	json_t *doc = json_object(), *rootfs = json_object(), *diff_ids = json_array();
	json_t *author = json_object_get(parts->base, "author");

	json_array_extend(diff_ids, base_diff_ids(parts));
	json_array_extend(diff_ids, parts->diff_ids);
	json_object_set_new(rootfs, "type", json_string("layers"));
	json_object_set_new(rootfs, "diff_ids", diff_ids);

	json_object_set_new(doc, "created", json_string(parts->created));
	if (author != NULL)
		json_object_set(doc, "author", author);
	set_platform(doc, parts);
	json_object_set_new(doc, "config", inherit(parts));
	json_object_set_new(doc, "rootfs", rootfs);
	json_object_set_new(doc, "history", whole_history(parts));
	return doc;
}
