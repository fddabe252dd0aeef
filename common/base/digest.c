#include "base/digest.h"

#include "base/err.h"
#include "base/io.h"
#include "base/encode.h"
#include "base/secret.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 64 << 10 }; /* stays in the cache of the processor */

static void start(struct digest *d)
{
	if (EVP_DigestInit_ex(d->state, EVP_sha256(), NULL) != 1)
		die("out of memory, or libcrypto has no SHA-256");
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

void digest_text(struct digest *d, const char *s)
{
	digest_update(d, s, strlen(s) + 1);
}

void digest_number(struct digest *d, uint64_t n)
{
	digest_update(d, &n, sizeof n);
}

void digest_hex(struct digest *d, char hex[DIGEST_HEX + 1])
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_DigestFinal_ex(d->state, raw, &len) != 1 || len != DIGEST_BYTES)
		die("libcrypto: SHA-256 failed");
	encode_hex(hex, raw, DIGEST_BYTES);
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

int64_t digest_add_file(struct digest *d, int fd, off_t at, uint64_t size)
{
	static _Thread_local char block[BLOCK];
	uint64_t done = 0;

	while (done < size) {
		size_t want = size - done < BLOCK ? (size_t)(size - done) : BLOCK;
		ssize_t n = io_pread(fd, block, want, at + (off_t)done);
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		digest_update(d, block, (size_t)n);
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

int digest_span(int fd, off_t at, uint64_t size, char hex[DIGEST_HEX + 1])
{
	struct digest d;

	digest_init(&d);
	int64_t n = digest_add_file(&d, fd, at, size);
	if (n < 0 || (uint64_t)n != size) {
		int error = n < 0 ? errno : EIO;
		digest_release(&d);
		errno = error;
		return -1;
	}
	digest_hex(&d, hex);
	digest_release(&d);
	return 0;
}

bool digest_is_same(const char *a, const char *b)
{
	return secret_equal(a, b, DIGEST_HEX);
}

bool digest_is_hex(const char *s)
{
	return strspn(s, "0123456789abcdef") == DIGEST_HEX && s[DIGEST_HEX] == '\0';
}

static const char prefix[] = "sha256:";

void digest_reference(const char *hex, char out[DIGEST_REFERENCE])
{
	snprintf(out, DIGEST_REFERENCE, "%s%s", prefix, hex);
}

const char *digest_strip(const char *s)
{
	if (strncmp(s, prefix, sizeof prefix - 1) != 0)
		return NULL;
	s += sizeof prefix - 1;
	return digest_is_hex(s) ? s : NULL;
}

static const char nix32[] = "0123456789abcdfghijklmnpqrsvwxyz";

/*
 * Writes `n` digits of Nix base 32 and a NUL. Nix writes the bytes as one little-endian
 * number, with the most significant digit first. A zero byte must follow the number.
 */
static void to_nix32(const unsigned char *raw, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++) {
		size_t bit = (n - 1 - i) * 5;
		unsigned two = raw[bit / 8] | (unsigned)raw[bit / 8 + 1] << 8;
		out[i] = nix32[two >> (bit % 8) & 31];
	}
	out[n] = '\0';
}

static void unhex(const char *hex, unsigned char raw[DIGEST_BYTES])
{
	if (encode_unhex(raw, DIGEST_BYTES, hex) < 0)
		die("'%s' is not a digest", hex);
}

void digest_nix32(const char *hex, char out[DIGEST_NIX32 + 1])
{
	enum { FOLDED = 20 };
	unsigned char raw[DIGEST_BYTES], folded[FOLDED + 1] = {0};

	unhex(hex, raw);
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		folded[i % FOLDED] ^= raw[i];
	to_nix32(folded, DIGEST_NIX32, out);
}

void digest_base32(const char *hex, char out[DIGEST_BASE32 + 1])
{
	unsigned char raw[DIGEST_BYTES + 1] = {0};

	unhex(hex, raw);
	to_nix32(raw, DIGEST_BASE32, out);
}

/*
 * Reads 256 bits in Nix base 32: 52 digits, the most significant first. Only one bit of
 * the first digit is used.
 */
static int from_nix32(unsigned char raw[DIGEST_BYTES], const char *text)
{
	size_t n = strlen(text);

	if (n != (DIGEST_BYTES * 8 + 4) / 5)
		return -1;
	memset(raw, 0, DIGEST_BYTES);
	for (size_t i = 0; i < n; i++) {
		const char *digit = strchr(nix32, text[i]);
		size_t bit = (n - 1 - i) * 5;
		if (digit == NULL)
			return -1;
		unsigned two = (unsigned)(digit - nix32) << (bit % 8);
		raw[bit / 8] |= (unsigned char)two;
		if (two >> 8 != 0 && bit / 8 + 1 == DIGEST_BYTES)
			return -1;
		if (two >> 8 != 0)
			raw[bit / 8 + 1] |= (unsigned char)(two >> 8);
	}
	return 0;
}

int digest_pin(const char *text, char hex[DIGEST_HEX + 1])
{
	unsigned char raw[DIGEST_BYTES] = {0};
	size_t len = 0;

	if (*text == '\0') {
		encode_hex(hex, raw, sizeof raw);
		return 0;
	}
	bool is_sri = strncmp(text, "sha256-", 7) == 0;
	if (is_sri || strncmp(text, "sha256:", 7) == 0)
		text += 7;
	bool is_base64 = encode_unbase64((char *)raw, sizeof raw, text, &len) == 0 &&
			 len == sizeof raw;
	if (!is_base64 && (is_sri || (encode_unhex(raw, sizeof raw, text) < 0 &&
				      from_nix32(raw, text) < 0)))
		return -1;
	encode_hex(hex, raw, sizeof raw);
	return 0;
}

void digest_sri(const char *hex, char out[DIGEST_SRI])
{
	unsigned char raw[DIGEST_BYTES];

	unhex(hex, raw);
	memcpy(out, "sha256-", 7);
	encode_base64(out + 7, (const char *)raw, sizeof raw);
}
