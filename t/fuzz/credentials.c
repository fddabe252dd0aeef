/* Files with credentials; the programs that they name are not there. */
#include "registry/credentials.h"

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const hosts[] = {"docker.io", "example.org:5000"};
	struct credentials c;
	struct err e;

	setenv("PATH", "/nowhere", 1);
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		if (credentials_parse(&c, (const char *)data, size, "file", hosts[i],
				      "library/hello", &e) == 0 &&
		    (c.user == NULL) != (c.password == NULL))
			abort();
		credentials_release(&c);
	}
	return 0;
}
