#include "base/hash.h"

#include "base/err.h"

#include <pthread.h>
#include <sodium.h>

static unsigned char hash_key[crypto_shorthash_KEYBYTES];

static void make_hash_key(void)
{
	if (sodium_init() < 0)
		die("libsodium does not work here");
	crypto_shorthash_keygen(hash_key);
}

uint64_t hash_keyed(const void *data, size_t len)
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
