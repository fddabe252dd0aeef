#include "base/signature.h"

#include "base/err.h"
#include "tap.h"

/* RFC 8032, 7.1, test 2. */
static const char key[] = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
static const char good[] = "b:kqAJqfDUyrhyDoILX2QlQKKye1QWUD+Ps3YiI+"
			   "vbadoIWsHkPhWZbkWPNhPQ8R2MOHsurrQwKu6wDSkWErsMAA==";

int main(void)
{
	struct signature_keys keys = {0};
	char list[200], other[sizeof good];
	struct err e;

	tap_ok(!signature_is_good(&keys, good, "\x72", 1), "no key");
	snprintf(list, sizeof list, " a:%s\n\tb:%s ", key, key);
	tap_int(signature_add_keys(&keys, list, &e), 0, "two keys");
	tap_int((long long)keys.names.n, 2, "their number");
	tap_ok(signature_is_good(&keys, good, "\x72", 1), "a good signature");
	tap_ok(!signature_is_good(&keys, good, "\x73", 1), "another text");
	tap_ok(!signature_is_good(&keys, good, "\x72\x72", 2), "a longer text");
	memcpy(other, good, sizeof good);
	other[0] = 'c';
	tap_ok(!signature_is_good(&keys, other, "\x72", 1), "the name of no key");
	tap_ok(!signature_is_good(&keys, good + 2, "\x72", 1), "no name");
	memcpy(other, good, sizeof good);
	other[2] = other[2] == 'A' ? 'B' : 'A';
	tap_ok(!signature_is_good(&keys, other, "\x72", 1), "another signature");
	tap_ok(!signature_is_good(&keys, "b:AAAA", "\x72", 1), "a short signature");
	tap_int(signature_add_keys(&keys, "a:AAAA", &e), -1, "a short key");
	tap_is(e.text, "'a:AAAA' is not a public key, NAME:BASE64", "the reason");
	signature_release(&keys);
	return tap_done();
}
