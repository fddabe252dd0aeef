/*
 * encode: bytes as text, in hex and in base 64.
 */
#ifndef DT_ENCODE_H
#define DT_ENCODE_H

#include <stddef.h>

/* Writes 2 * len lower-case hex digits and a NUL. */
void encode_hex(char *out, const unsigned char *data, size_t len);

/*
 * Reads exactly 2 * size hex digits into `size` bytes. Returns 0, or -1 if `text` has
 * another form.
 */
int encode_unhex(unsigned char *out, size_t size, const char *text);

/* Returns the length of `len` bytes in base 64, including the NUL. */
size_t encode_base64_size(size_t len);

/* Writes `len` bytes in base 64 (RFC 4648, with padding) and a NUL. */
void encode_base64(char *out, const char *data, size_t len);

/* Reads base 64 into at most `size` bytes. Returns 0 and sets *len, or returns -1. */
int encode_unbase64(char *out, size_t size, const char *text, size_t *len);

#endif
