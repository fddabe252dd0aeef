#include "base/secret.h"

#include "tap.h"

int main(void)
{
	char *s = secret_copy("sesame");

	tap_is(s, "sesame", "a copy");
	secret_free(s);
	secret_free(NULL);
	tap_ok(secret_copy(NULL) == NULL, "of nothing");
	s = secret_new(100);
	tap_ok(s[0] == 0 && s[99] == 0, "zeroed");
	secret_free(s);
	tap_ok(secret_equal("abc", "abd", 2) && !secret_equal("abc", "abd", 3),
	       "compared");
	return tap_done();
}
