#include "base/secret.h"

#include "base/err.h"

#include <pthread.h>
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

void secret_hex(char *out, const unsigned char *data, size_t len)
{
	sodium_bin2hex(out, 2 * len + 1, data, len);
}

int secret_unhex(unsigned char *out, size_t size, const char *text)
{
	size_t len;

	if (strlen(text) != 2 * size ||
	    sodium_hex2bin(out, size, text, 2 * size, NULL, &len, NULL) != 0)
		return -1;
	return len == size ? 0 : -1;
}

size_t secret_base64_size(size_t len)
{
	return sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
}

void secret_base64(char *out, const char *data, size_t len)
{
	sodium_bin2base64(out, secret_base64_size(len), (const unsigned char *)data, len,
			  sodium_base64_VARIANT_ORIGINAL);
}

int secret_unbase64(char *out, size_t size, const char *text, size_t *len)
{
	return sodium_base642bin((unsigned char *)out, size, text, strlen(text), NULL,
				 len, NULL, sodium_base64_VARIANT_ORIGINAL);
}

/* --- hash for tables --- */

static unsigned char hash_key[crypto_shorthash_KEYBYTES];

static void make_hash_key(void)
{
	init();
	crypto_shorthash_keygen(hash_key);
}

uint64_t secret_hash(const void *data, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	union {
		unsigned char bytes[crypto_shorthash_BYTES];
		uint64_t number;
	} hash;

	pthread_once(&once, make_hash_key);
	crypto_shorthash(hash.bytes, data, len, hash_key);
	return hash.number;
}
