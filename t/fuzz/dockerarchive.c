/* Configurations, of which the legacy documents of an archive take their part. */
#include "registry/dockerarchive.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dockerarchive a;
	struct buf text = {0};
	struct err e;
	char diff_id[2][DIGEST_HEX + 1];
	json_t *config = json_parse((const char *)data, size, "input", &e);

	digest_of("", 0, diff_id[0]);
	digest_of("x", 1, diff_id[1]);
	buf_add(&text, data, size);
	const struct dockerarchive_image im = {
	    .config = &text,
	    .diff_id = (const char(*)[DIGEST_HEX + 1]) diff_id,
	    .n = 2,
	    .name = "docker.io/library/x",
	    .tag = "latest",
	};
	dockerarchive_init(&a, -1, true);
	if (json_is_object(config) && dockerarchive_documents(&a, &im, &e) < 0)
		abort();
	dockerarchive_release(&a);
	json_decref(config);
	buf_release(&text);
	return 0;
}
