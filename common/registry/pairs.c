#include "registry/pairs.h"

#include "base/err.h"
#include "base/mem.h"
#include "image/image.h"
#include "image/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pairs_release(struct pairs *p)
{
	strset_release(&p->layers);
	strset_release(&p->blobs);
	free(p->blob);
	*p = (struct pairs){0};
}

/* The name of a layer in p->layers. */
enum { NAME = 1 + DIGEST_HEX };
static void layer_name(const char *diff_id, enum compress_format format,
		       char name[NAME + 1])
{
	snprintf(name, NAME + 1, "%c%s", format == COMPRESS_ZSTD ? 'z' : 'g', diff_id);
}

const struct pairs_blob *pairs_find(const struct pairs *p, const char *diff_id,
				    enum compress_format format)
{
	char name[NAME + 1];

	layer_name(diff_id, format, name);
	uint32_t i = strset_find(&p->layers, name, NAME);
	return i != STRSET_NONE ? &p->blob[i] : NULL;
}

bool pairs_has_blob(const struct pairs *p, const char *hex)
{
	return strset_find(&p->blobs, hex, DIGEST_HEX) != STRSET_NONE;
}

/* Adds a layer, unless one with this diff_id and format was added before. */
static void add_layer(struct pairs *p, const char *diff_id, const json_t *descriptor,
		      const struct manifest_blob *b, enum pairs_place place)
{
	const char *type = json_string_at(descriptor, "mediaType");
	enum compress_format format = manifest_layer_format(type);
	char name[NAME + 1];
	size_t before = p->layers.n;

	if (b->urls != NULL || (format != COMPRESS_GZIP && format != COMPRESS_ZSTD))
		return;
	layer_name(diff_id, format, name);
	uint32_t i = strset_add(&p->layers, name, NAME);
	if (p->layers.n == before)
		return;
	p->blob = mem_grow(p->blob, &p->cap, p->layers.n, sizeof *p->blob);
	p->blob[i] = (struct pairs_blob){.size = b->size, .place = place};
	memcpy(p->blob[i].hex, b->hex, sizeof b->hex);
}

void pairs_add(struct pairs *p, const struct manifest *m, const json_t *config,
	       enum pairs_place place)
{
	const json_t *layers = json_object_get(m->doc, "layers");
	char(*diff_id)[DIGEST_HEX + 1] = NULL;
	struct err unused;
	int64_t n = config != NULL ? image_diff_ids(config, &diff_id, &unused) : -1;
	bool is_image = n >= 0 && (size_t)n == m->n, is_in_tag = place == PAIRS_IN_TAG;

	for (size_t i = 0; is_image && i < m->n; i++) {
		add_layer(p, diff_id[i], json_array_get(layers, i), &m->layer[i], place);
		/* The repository may lack a blob that is also elsewhere. */
		if (is_in_tag && m->layer[i].urls == NULL)
			strset_add(&p->blobs, m->layer[i].hex, DIGEST_HEX);
	}
	if (is_image && is_in_tag) {
		strset_add(&p->blobs, m->config.hex, DIGEST_HEX);
		p->has_image = true;
	}
	free(diff_id);
}
