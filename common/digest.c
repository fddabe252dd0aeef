#include "digest.h"

#include "err.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

static void start(struct digest *d)
{
	if (EVP_DigestInit_ex(d->state, EVP_sha256(), NULL) != 1)
		die("libcrypto has no SHA-256");
}

void digest_init(struct digest *d)
{
	d->state = EVP_MD_CTX_new();
	if (d->state == NULL)
		die("out of memory");
	start(d);
}

void digest_release(struct digest *d)
{
	EVP_MD_CTX_free(d->state);
	d->state = NULL;
}

void digest_update(struct digest *d, const void *data, size_t len)
{
	if (EVP_DigestUpdate(d->state, data, len) != 1)
		die("libcrypto: SHA-256 failed");
}

void digest_hex(struct digest *d, char hex[DIGEST_HEX + 1])
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_DigestFinal_ex(d->state, raw, &len) != 1 || len != DIGEST_BYTES)
		die("libcrypto: SHA-256 failed");
	sodium_bin2hex(hex, DIGEST_HEX + 1, raw, DIGEST_BYTES);
	start(d);
}

void digest_of(const void *data, size_t len, char hex[DIGEST_HEX + 1])
{
	struct digest d;

	digest_init(&d);
	digest_update(&d, data, len);
	digest_hex(&d, hex);
	digest_release(&d);
}

bool digest_is_hex(const char *s)
{
	return strspn(s, "0123456789abcdef") == DIGEST_HEX && s[DIGEST_HEX] == '\0';
}

const char *digest_strip(const char *s)
{
	static const char prefix[] = "sha256:";

	if (strncmp(s, prefix, sizeof prefix - 1) != 0)
		return NULL;
	s += sizeof prefix - 1;
	return digest_is_hex(s) ? s : NULL;
}

void digest_nix32(const char *hex, char out[DIGEST_NIX32 + 1])
{
	static const char alphabet[] = "0123456789abcdfghijklmnpqrsvwxyz";
	enum { FOLDED = 20 };
	unsigned char raw[DIGEST_BYTES], folded[FOLDED + 1] = {0};

	if (sodium_hex2bin(raw, sizeof raw, hex, DIGEST_HEX, NULL, NULL, NULL) != 0)
		die("'%s' is no digest", hex);
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		folded[i % FOLDED] ^= raw[i];
	/* Nix writes the bytes as one little-endian number, its highest digit first. */
	for (size_t i = 0; i < DIGEST_NIX32; i++) {
		size_t bit = (DIGEST_NIX32 - 1 - i) * 5;
		unsigned two = folded[bit / 8] | (unsigned)folded[bit / 8 + 1] << 8;
		out[i] = alphabet[two >> (bit % 8) & 31];
	}
	out[DIGEST_NIX32] = '\0';
}
