#include "base/secret.h"

#include "base/err.h"

#include <sodium.h>
#include <string.h>
#include <sys/resource.h>

void secret_forbid_core(void)
{
	const struct rlimit none = {0};

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		die_errno("core dumps cannot be turned off");
}

static void init(void)
{
	if (sodium_init() < 0)
		die("libsodium does not work here");
}

char *secret_new(size_t size)
{
	init();
	char *s = sodium_malloc(size != 0 ? size : 1);
	if (s == NULL)
		die("out of guarded memory");
	memset(s, 0, size);
	return s;
}

void secret_free(char *s)
{
	sodium_free(s);
}

char *secret_copy(const char *s)
{
	if (s == NULL)
		return NULL;
	size_t size = strlen(s) + 1;
	return memcpy(secret_new(size), s, size);
}

bool secret_equal(const void *a, const void *b, size_t len)
{
	return sodium_memcmp(a, b, len) == 0;
}
