/*
 * secret: memory for passwords, hex and base 64, and a hash function for tables.
 *
 * The module wraps libsodium. Credentials must not reach a core dump or the swap, and
 * must not stay in memory. Guarded memory lies between pages that cannot be accessed, is
 * excluded from core dumps, and is overwritten when it is freed. It is excluded from swap
 * if the system allows that.
 */
#ifndef DT_SECRET_H
#define DT_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Disables core dumps of this process and of the programs that it starts, because
 * libraries keep copies of secrets in ordinary memory. Must be called before the first
 * secret is read. Ends the process on failure.
 */
void secret_forbid_core(void);

/* Allocates `size` zeroed bytes of guarded memory. Ends the process if that fails. */
char *secret_new(size_t size);

/* Overwrites and frees guarded memory. `s` may be NULL. */
void secret_free(char *s);

/* Copies a string into guarded memory. Returns NULL if `s` is NULL. */
char *secret_copy(const char *s);

/* Compares `len` bytes in constant time. */
bool secret_equal(const void *a, const void *b, size_t len);

/* Writes 2 * len lower-case hex digits and a NUL. */
void secret_hex(char *out, const unsigned char *data, size_t len);

/*
 * Reads exactly 2 * size hex digits into `size` bytes. Returns 0, or -1 if `text` has
 * another form.
 */
int secret_unhex(unsigned char *out, size_t size, const char *text);

/* Returns the length of `len` bytes in base 64, including the NUL. */
size_t secret_base64_size(size_t len);

/* Writes `len` bytes in base 64 (RFC 4648, with padding) and a NUL. */
void secret_base64(char *out, const char *data, size_t len);

/* Reads base 64 into at most `size` bytes. Returns 0 and sets *len, or returns -1. */
int secret_unbase64(char *out, size_t size, const char *text, size_t *len);

/*
 * Returns a hash for tables whose keys come from untrusted input. The hash has a random
 * key in each process, so nobody can choose names that all fall into one bucket. Output
 * must not depend on it.
 */
uint64_t secret_hash(const void *data, size_t len);

#endif
