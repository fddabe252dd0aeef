/* What registries say of authentication. */
#include "registry/challenge.h"

#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_strndup((const char *)data, size);
	struct challenge c = {0};

	challenge_parse(&c, text);
	if (c.realm != NULL && (strchr(c.realm, '\n') != NULL || !c.has_bearer))
		abort();
	challenge_release(&c);
	free(text);
	return 0;
}
