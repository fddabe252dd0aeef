/* Manifests and indexes; what one of them has must be usable as a name. */
#include "image/manifest.h"

#include "base/digest.h"
#include "base/err.h"
#include "image/platform.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const arches[] = {"amd64", "arm", "arm64/v8", "arm/v7"};
	struct manifest_blob chosen;
	struct manifest m;
	struct platform p;
	struct err e;

	if (manifest_parse(&m, (const char *)data, size, NULL, &e) == 0 && !m.is_index) {
		if (!digest_is_hex(m.config.hex))
			abort();
		for (size_t i = 0; i < m.n; i++)
			if (!digest_is_hex(m.layer[i].hex) || m.layer[i].size > INT64_MAX)
				abort();
	}
	for (size_t i = 0; m.is_index && i < sizeof arches / sizeof *arches; i++)
		if (platform_parse(&p, arches[i]) == 0 &&
		    manifest_choose(&m, &p, "linux", &chosen, &e) == 0 &&
		    !digest_is_hex(chosen.hex))
			abort();
	manifest_release(&m);
	return 0;
}
