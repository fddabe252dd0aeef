/*
 * Image configurations. The first line is the "config" of a user, and the rest is the
 * configuration of a base image. An accepted "config" stays as it is when it is checked
 * again. The configuration that both give is written as JSON that is read as the same,
 * and has a layer and a history entry for each layer.
 */
#include "image/config.h"

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "image/image.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The document is written as text that is read as the same document. */
static void check_text(const json_t *doc)
{
	struct buf text = {0};
	struct err e;

	json_write(doc, &text);
	json_t *again = json_parse(text.data, text.len, "it", &e);
	if (again == NULL || !json_equal(doc, again))
		abort();
	json_decref(again);
	buf_release(&text);
}

/* Each variable is set once. */
static void check_env(const json_t *env)
{
	for (size_t i = 0; i < json_array_size(env); i++) {
		const char *one = json_string_value(json_array_get(env, i));
		for (size_t k = 0; k < i && one != NULL; k++) {
			const char *other = json_string_value(json_array_get(env, k));
			size_t n = strcspn(one, "=");
			if (other != NULL && strcspn(other, "=") == n &&
			    strncmp(one, other, n) == 0)
				abort();
		}
	}
}

static size_t count_layers(const json_t *history)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(history); i++)
		n += !json_is_true(
		    json_object_get(json_array_get(history, i), "empty_layer"));
	return n;
}

static void check_image(json_t *config, json_t *base, bool env_only)
{
	char(*diff_id)[DIGEST_HEX + 1] = NULL, hex[DIGEST_HEX + 1];
	json_t *diff_ids = json_array(), *history = json_array();
	struct err e;
	int64_t n = base != NULL ? image_diff_ids(base, &diff_id, &e) : 0;

	free(diff_id);
	digest_of("", 0, hex);
	json_array_append_new(diff_ids, json_digest(hex));
	json_array_append_new(history, config_history("1970-01-01T00:00:01Z", "x"));
	const struct config_image parts = {
	    .base = base,
	    .config = config,
	    .env_only = env_only,
	    .diff_ids = diff_ids,
	    .history = history,
	    .created = "1970-01-01T00:00:01Z",
	    .arch = env_only ? "arm64" : NULL,
	    .variant = "v8",
	};
	json_t *doc = n >= 0 ? config_image(&parts) : NULL;
	if (doc != NULL && config_fit(doc, &e) == 0) {
		check_text(doc);
		if (image_diff_ids(doc, &diff_id, &e) != n + 1)
			abort();
		free(diff_id);
		const json_t *env =
		    json_object_get(json_object_get(doc, "config"), "Env");
		if (json_is_array(json_object_get(config, "Env")))
			check_env(env);
		if (count_layers(json_object_get(doc, "history")) != (size_t)n + 1)
			abort();
		(void)config_is_docker(doc);
	}
	json_decref(doc);
	json_decref(history);
	json_decref(diff_ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *end = size > 0 ? memchr(text, '\n', size) : NULL;
	size_t len = end != NULL ? (size_t)(end - text) : size;
	struct err e;

	json_t *config = json_parse(text, len, "config", &e);
	json_t *base =
	    end != NULL ? json_parse(end + 1, size - len - 1, "base", &e) : NULL;
	if (config != NULL && config_check(config, &e) == 0) {
		json_t *before = json_deep_copy(config);
		if (config_check(config, &e) < 0 || !json_equal(before, config))
			abort();
		check_text(config);
		check_image(config, base, false);
		check_image(config, base, true);
		if (!json_equal(before, config))
			abort();
		json_decref(before);
	}
	json_decref(base);
	json_decref(config);
	return 0;
}
