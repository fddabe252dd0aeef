#include "base/secret.h"

#include "tap.h"

/* The hash of a text in another process, which has a key of its own. */
static uint64_t hash_elsewhere(void)
{
	uint64_t hash = 0;
	int out[2];

	if (pipe(out) < 0)
		abort();
	pid_t child = fork();
	if (child == 0) {
		hash = secret_hash("text", 4);
		_exit(write(out[1], &hash, sizeof hash) != sizeof hash);
	}
	if (read(out[0], &hash, sizeof hash) != sizeof hash)
		abort();
	waitpid(child, NULL, 0);
	return hash;
}

int main(void)
{
	uint64_t one = hash_elsewhere(), other = hash_elsewhere();
	char text[64], *s = secret_copy("sesame");
	unsigned char raw[3];
	size_t len;

	tap_is(s, "sesame", "a copy");
	secret_free(s);
	secret_free(NULL);
	tap_ok(secret_copy(NULL) == NULL, "of nothing");
	s = secret_new(100);
	tap_ok(s[0] == 0 && s[99] == 0, "zeroed");
	secret_free(s);
	tap_ok(secret_equal("abc", "abd", 2) && !secret_equal("abc", "abd", 3),
	       "compared");

	secret_hex(text, (const unsigned char *)"\x00\xab\xff", 3);
	tap_is(text, "00abff", "hex");
	tap_ok(secret_unhex(raw, 3, "00abff") == 0 && memcmp(raw, "\0\xab\xff", 3) == 0,
	       "and back");
	tap_ok(secret_unhex(raw, 3, "00abf") < 0, "too short");
	tap_ok(secret_unhex(raw, 3, "00abff0") < 0, "too long");
	tap_ok(secret_unhex(raw, 3, "00abfg") < 0, "no digit");

	secret_base64(text, "user:sesame", 11);
	tap_is(text, "dXNlcjpzZXNhbWU=", "base 64");
	tap_int((long long)secret_base64_size(11), 17, "its length");
	tap_ok(secret_unbase64(text + 20, 20, text, &len) == 0 && len == 11 &&
		   memcmp(text + 20, "user:sesame", 11) == 0,
	       "and back");
	tap_ok(secret_unbase64(text + 20, 5, text, &len) < 0, "no room");
	tap_ok(secret_unbase64(text + 20, 20, "dXNl*", &len) < 0, "no digit of base 64");
	tap_ok(secret_unbase64(text + 20, 20, "dXNlcg", &len) < 0, "not padded");

	tap_ok(one != other, "the hash of a table has another key in each process");
	tap_ok(secret_hash("text", 4) == secret_hash("text", 4), "and keeps it");
	tap_ok(secret_hash("text", 4) != secret_hash("texs", 4), "of another text");
	return tap_done();
}
