/* Documents of a registry: a manifest, a newline, and a configuration. */
#include "registry/pairs.h"

#include "base/buf.h"
#include "base/err.h"
#include "image/image.h"
#include "image/manifest.h"
#include "registry/referrers.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each layer that is found has a blob of the manifest. */
static void check(const struct pairs *p, const struct manifest *m, const json_t *config)
{
	static const enum compress_format formats[] = {COMPRESS_GZIP, COMPRESS_ZSTD};
	char(*diff_id)[DIGEST_HEX + 1] = NULL;
	struct err e;
	int64_t n = config != NULL ? image_diff_ids(config, &diff_id, &e) : 0;

	for (int64_t i = 0; i < n; i++)
		for (size_t f = 0; f < 2; f++) {
			const struct pairs_blob *b =
			    pairs_find(p, diff_id[i], formats[f]);
			if (b != NULL &&
			    (!digest_is_hex(b->hex) || !pairs_has_blob(p, b->hex) ||
			     (size_t)n != m->n))
				abort();
		}
	if (p->has_image != pairs_has_blob(p, m->config.hex))
		abort();
	free(diff_id);
}

/* A document is listed once. */
static void check_list(const char *text, size_t len)
{
	struct buf b = {0};
	struct err e;
	char hex[DIGEST_HEX + 1];

	buf_add(&b, text, len);
	json_t *list = referrers_read(&b, &e);
	digest_of(text, len, hex);
	json_t *d = manifest_descriptor("x/y", hex, len);
	if (list != NULL && (!referrers_add(list, d) || referrers_add(list, d)))
		abort();
	json_decref(d);
	json_decref(list);
	buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *end = size > 0 ? memchr(text, '\n', size) : NULL;
	size_t len = end != NULL ? (size_t)(end - text) : size;
	struct pairs p = {0};
	struct manifest m;
	struct err e;

	json_t *config = end != NULL ? json_parse(end + 1, size - len - 1, "", &e) : NULL;
	if (manifest_parse(&m, text, len, NULL, &e) == 0 && !m.is_index) {
		pairs_add(&p, &m, config, PAIRS_IN_TAG);
		check(&p, &m, config);
	}
	manifest_release(&m);
	pairs_release(&p);
	json_decref(config);
	check_list(text, len);
	return 0;
}
