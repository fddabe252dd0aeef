/*
 * secret: guarded memory, how bytes are spelled in text, and the hash of tables; by
 * libsodium.
 *
 * Guarded memory lies between pages that cannot be touched, is kept out of swap where the
 * system allows that and out of core dumps, and is overwritten when it is freed.
 */
#ifndef DT_SECRET_H
#define DT_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Has the kernel write no core dump of this process and the programs that it starts:
 * libraries keep copies of secrets in ordinary memory. Called before there are any.
 */
void secret_forbid_core(void);

/* `size` zeroed, guarded bytes. Ends the process if there are none. */
char *secret_new(size_t size);

/* Overwrites and frees. NULL is a no-op. */
void secret_free(char *s);

/* A guarded copy of the text; NULL of NULL. */
char *secret_copy(const char *s);

/* Whether two spans of `len` bytes are equal, in a time that does not tell where not. */
bool secret_equal(const void *a, const void *b, size_t len);

/* Writes 2 * len lower-case hex digits and a NUL. */
void secret_hex(char *out, const unsigned char *data, size_t len);

/* Reads exactly `size` bytes spelled as 2 * size hex digits. Returns 0, or -1. */
int secret_unhex(unsigned char *out, size_t size, const char *text);

/* The length, with its NUL, of `len` bytes in base 64. */
size_t secret_base64_size(size_t len);

/* Writes `len` bytes in base 64 (RFC 4648, padded), and a NUL. */
void secret_base64(char *out, const char *data, size_t len);

/* Reads base 64, at most `size` bytes. Returns 0 and sets *len, or -1. */
int secret_unbase64(char *out, size_t size, const char *text, size_t *len);

/*
 * A hash for tables whose keys come from untrusted input. Its key is random and differs
 * in each process, so nobody can choose names that fall into one bucket. No output may
 * depend on it.
 */
uint64_t secret_hash(const void *data, size_t len);

#endif
