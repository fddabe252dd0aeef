#include "registry/known.h"

#include "base/buf.h"
#include "base/cache.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "image/image.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "registry/http.h"
#include "registry/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MANIFESTS_MAX = 64, /* of an index */
	REMEMBERED_MAX = 8, /* manifests that the cache names */
	TAGS_MAX = 8,       /* other tags that are read */
};

static const char kind[] = "pushed"; /* of facts in the cache */

void known_release(struct known *k)
{
	pairs_release(&k->pairs);
	strset_release(&k->manifests);
	strset_release(&k->configs);
	free(k->config);
	k->config = NULL;
}

void known_config(struct known *k, const char *hex, const struct buf *text)
{
	uint32_t i = strset_add(&k->configs, hex, DIGEST_HEX);

	k->config = mem_grow(k->config, &k->config_cap, k->configs.n, sizeof *k->config);
	k->config[i] = text;
}

/* --- images --- */

static const struct fetch *fetch_of(const struct known *k, enum pairs_place place)
{
	return place == PAIRS_ELSEWHERE ? &k->other : &k->fetch;
}

/* Returns the parsed configuration, a new reference, or NULL. */
static json_t *get_config(const struct known *k, const struct manifest *m,
			  enum pairs_place place)
{
	uint32_t i = strset_find(&k->configs, m->config.hex, DIGEST_HEX);
	struct buf text = {0};
	char type[128];
	struct err unused;
	json_t *doc = NULL;

	if (i != STRSET_NONE)
		return json_parse(k->config[i]->data, k->config[i]->len, "", &unused);
	if (fetch_document(fetch_of(k, place), "blobs", m->config.hex, &text, type,
			   &unused) == 0)
		doc = json_parse(text.data, text.len, "", &unused);
	buf_release(&text);
	return doc;
}

static void add_image(struct known *k, const struct manifest *m, enum pairs_place place)
{
	json_t *config = get_config(k, m, place);

	pairs_add(&k->pairs, m, config, place);
	json_decref(config);
}

/* A walk through an index. */
struct walk {
	enum pairs_place place;
	size_t left; /* manifests that may be read */
};

static void add_document(struct known *k, const struct buf *text, const char *type,
			 int depth, struct walk *w);

/* Adds the images of an index. */
static void add_index(struct known *k, const struct manifest *m, int depth,
		      struct walk *w)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(m->doc, "manifests"), i, entry)
	{
		const char *hex = manifest_hex(entry);
		struct buf text = {0};
		struct err unused;
		char type[128];
		if (hex == NULL || w->left == 0)
			continue;
		if (w->place == PAIRS_IN_TAG)
			strset_add(&k->manifests, hex, DIGEST_HEX);
		if (!manifest_is_image(entry))
			continue;
		w->left--;
		if (fetch_document(fetch_of(k, w->place), "manifests", hex, &text, type,
				   &unused) == 0)
			add_document(k, &text, *type != '\0' ? type : NULL, depth + 1, w);
		buf_release(&text);
	}
}

/* Adds the images of a manifest or an index. Ignores other documents. */
static void add_document(struct known *k, const struct buf *text, const char *type,
			 int depth, struct walk *w)
{
	struct manifest m;
	struct err unused;

	if (manifest_parse(&m, text->data, text->len, type, &unused) == 0) {
		if (!m.is_index)
			add_image(k, &m, w->place);
		else if (depth < MANIFEST_NESTING)
			add_index(k, &m, depth, w);
	}
	manifest_release(&m);
}

int known_tag(struct known *k, const char *tag, struct err *e)
{
	struct walk w = {.place = PAIRS_IN_TAG, .left = MANIFESTS_MAX};
	struct buf text = {0};
	char type[128];

	int result = registry_manifest(k->fetch.registry, tag, &text, type, e);
	if (result > 0) {
		digest_of(text.data, text.len, k->tag);
		strset_add(&k->manifests, k->tag, DIGEST_HEX);
		add_document(k, &text, type, 0, &w);
	}
	buf_release(&text);
	return result < 0 ? -1 : 0;
}

/* Reads a manifest or index of the repository, or of the other one. */
static void read_more(struct known *k, const char *what, enum pairs_place place)
{
	struct walk w = {.place = place, .left = TAGS_MAX};
	struct buf text = {0};
	struct err unused;
	char type[128];
	struct registry *r = fetch_of(k, place)->registry;

	if (registry_manifest(r, what, &text, type, &unused) > 0) {
		inform("repository %s: the image %s is read for its layers",
		       registry_path(r), what);
		add_document(k, &text, type, 0, &w);
	}
	buf_release(&text);
}

static bool are_known(const struct known *k, const struct known_wanted *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (pairs_find(&k->pairs, w->diff_id[i], w->format) == NULL)
			return false;
	return true;
}

/* --- the cache --- */

/* The key of the fact which manifest of the repository has a layer. */
static void fact_key(const struct known *k, const char *diff_id,
		     enum compress_format format, char key[DIGEST_HEX + 1])
{
	struct digest d;

	digest_init(&d);
	digest_text(&d, registry_host(k->fetch.registry));
	digest_text(&d, registry_path(k->fetch.registry));
	digest_text(&d, format == COMPRESS_ZSTD ? "zstd" : "gz");
	digest_text(&d, diff_id);
	digest_hex(&d, key);
	digest_release(&d);
}

void known_remembered(struct known *k, const struct known_wanted *w)
{
	struct strset seen = {0};
	struct buf fact = {0};

	for (size_t i = 0; i < w->n && seen.n < REMEMBERED_MAX; i++) {
		char key[DIGEST_HEX + 1], what[DIGEST_REFERENCE];
		size_t before = seen.n;
		if (pairs_find(&k->pairs, w->diff_id[i], w->format) != NULL)
			continue;
		fact_key(k, w->diff_id[i], w->format, key);
		if (!cache_get(k->fetch.cache, kind, key, &fact) ||
		    !digest_is_hex(fact.data))
			continue;
		strset_add(&seen, fact.data, DIGEST_HEX);
		digest_reference(fact.data, what);
		if (seen.n > before)
			read_more(k, what, PAIRS_IN_REPOSITORY);
	}
	strset_release(&seen);
	buf_release(&fact);
}

void known_remember(const struct known *k, const struct known_wanted *w, const char *hex)
{
	char key[DIGEST_HEX + 1];

	for (size_t i = 0; i < w->n; i++) {
		fact_key(k, w->diff_id[i], w->format, key);
		cache_put(k->fetch.cache, kind, key, hex, DIGEST_HEX);
	}
}

/* --- other tags --- */

/* Returns the names of the tags, a new array, or NULL. */
static json_t *list_tags(const struct fetch *f)
{
	struct http_request q = {0};
	struct http_response a = {0};
	struct buf text = {0};
	struct err unused;
	json_t *doc = NULL, *tags = NULL;

	http_into(&q, &text, JSON_LIMIT);
	if (registry_send(f->registry, "tags/list", false, &q, &a, &unused) == 0 &&
	    a.status == 200)
		doc = json_parse(text.data, text.len, "", &unused);
	tags = json_incref(json_object_get(doc, "tags"));
	json_decref(doc);
	http_response_release(&a);
	buf_release(&text);
	return tags;
}

/*
 * Whether a text of the registry is a tag that may be an image's. Referrers and
 * signatures have tags that begin with "sha256-".
 */
static bool is_tag(const char *text)
{
	static const char referrer[] = "sha256-";
	struct err unused;

	return text != NULL && strncmp(text, referrer, strlen(referrer)) != 0 &&
	       reference_check_tag(text, &unused) == 0;
}

/* Orders tags as they are read: latest, then the highest version first. */
static int by_age(const void *a, const void *b)
{
	static const char latest[] = "latest";
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	bool is_x = strcmp(x, latest) == 0, is_y = strcmp(y, latest) == 0;

	return is_x != is_y ? is_y - is_x : strverscmp(y, x);
}

void known_tags(struct known *k, const struct known_wanted *w, const char *tag,
		bool other)
{
	enum pairs_place place = other ? PAIRS_ELSEWHERE : PAIRS_IN_REPOSITORY;

	if (other && !are_known(k, w))
		read_more(k, tag, place);
	json_t *tags = are_known(k, w) ? NULL : list_tags(fetch_of(k, place));
	const char **list = mem_zero(json_array_size(tags), sizeof *list);
	size_t n = 0;
	for (size_t i = 0; i < json_array_size(tags); i++) {
		const char *text = json_string_value(json_array_get(tags, i));
		if (is_tag(text) && strcmp(text, tag) != 0)
			list[n++] = text;
	}
	qsort(list, n, sizeof *list, by_age);
	for (size_t i = 0; i < n && i < TAGS_MAX && !are_known(k, w); i++)
		read_more(k, list[i], place);
	free(list);
	json_decref(tags);
}
