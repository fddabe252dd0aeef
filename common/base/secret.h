/*
 * secret: memory for passwords.
 *
 * Credentials must not reach a core dump or the swap, and must not stay in memory.
 * Guarded memory lies between pages that cannot be accessed, is excluded from core dumps,
 * and is overwritten when it is freed. It is excluded from swap if the system allows
 * that.
 */
#ifndef DT_SECRET_H
#define DT_SECRET_H

#include <stdbool.h>
#include <stddef.h>

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

#endif
