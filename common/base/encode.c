#include "base/encode.h"

#include <sodium.h>
#include <string.h>

void encode_hex(char *out, const unsigned char *data, size_t len)
{
	sodium_bin2hex(out, 2 * len + 1, data, len);
}

int encode_unhex(unsigned char *out, size_t size, const char *text)
{
	size_t len;

	if (strlen(text) != 2 * size ||
	    sodium_hex2bin(out, size, text, 2 * size, NULL, &len, NULL) != 0)
		return -1;
	return len == size ? 0 : -1;
}

size_t encode_base64_size(size_t len)
{
	return sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
}

void encode_base64(char *out, const char *data, size_t len)
{
	sodium_bin2base64(out, encode_base64_size(len), (const unsigned char *)data, len,
			  sodium_base64_VARIANT_ORIGINAL);
}

int encode_unbase64(char *out, size_t size, const char *text, size_t *len)
{
	return sodium_base642bin((unsigned char *)out, size, text, strlen(text), NULL,
				 len, NULL, sodium_base64_VARIANT_ORIGINAL);
}
