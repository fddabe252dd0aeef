/* Image archives of other programs, as dt-push takes them. */
#include "registry/parts.h"

#include "base/err.h"
#include "base/io.h"
#include "image/manifest.h"
#include "image/packed.h"
#include "input.h"
#include "mutator.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A blob that is taken as it is has its digest. One to be compressed gets some digest. */
static void settle(const struct parts *p, struct parts_blob *b)
{
	struct packed packed = {0};
	char hex[DIGEST_HEX + 1];
	struct err e;

	if (b->kind == PARTS_LAYER) {
		digest_of(b->diff_id, DIGEST_HEX, b->hex);
		b->size = 1;
	} else if (b->kind == PARTS_BLOB && b->place != NULL) {
		if (packed_member(&packed, &p->archive.index, b->place, b->hex,
				  b->diff_id, &e) == 0 &&
		    (digest_span(packed.fd, packed.at, b->size, hex) < 0 ||
		     !digest_is_same(hex, b->hex)))
			abort();
		packed_release(&packed);
	}
	if (!digest_is_hex(b->hex))
		abort();
}

/* A descriptor in a document to be stored names this blob. */
static void check_descriptor(const json_t *d, const struct parts_blob *b)
{
	const char *hex = manifest_hex(d);

	if (hex == NULL || !digest_is_same(hex, b->hex) ||
	    (uint64_t)json_integer_value(json_object_get(d, "size")) != b->size)
		abort();
}

/* The documents to be stored are JSON that names their blobs. */
static void check(const struct parts *p)
{
	struct err e;

	for (size_t i = 0; i < p->n; i++) {
		const struct part *part = &p->part[i];
		json_t *doc = json_parse(part->text.data, part->text.len, "it", &e);
		const json_t *layers = json_object_get(doc, "layers");
		if (doc == NULL || !digest_is_hex(part->hex) ||
		    json_array_size(layers) != part->n)
			abort();
		check_descriptor(json_object_get(doc, "config"), &p->blob[part->config]);
		for (size_t k = 0; k < part->n; k++)
			check_descriptor(json_array_get(layers, k),
					 &p->blob[part->layer[k]]);
		json_decref(doc);
	}
	if (!p->is_index)
		return;
	json_t *doc = json_parse(p->index.data, p->index.len, "it", &e);
	if (json_array_size(json_object_get(doc, "manifests")) < p->n)
		abort();
	json_decref(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in;
	struct parts p;
	struct err e;

	if (input_open(&in, data, len) < 0)
		return 1;
	in.choice.may_lack = true;
	if (parts_open(&p, &in.choice, &e) == 0) {
		for (size_t i = 0; i < p.names.n; i++)
			settle(&p, &p.blob[i]);
		parts_write(&p, COMPRESS_GZIP);
		check(&p);
	}
	parts_release(&p);
	close(in.fd);
	return 0;
}
