/*
 * mem: memory allocation without error handling in the callers.
 *
 * No tool can continue when memory runs out. So all functions end the process with a
 * message if memory runs out or a size overflows, and none returns NULL. Memory is
 * released with free(3).
 */
#ifndef DT_MEM_H
#define DT_MEM_H

#include <stddef.h>

/* Allocates `n` zeroed objects of `size` bytes. */
void *mem_zero(size_t n, size_t size);

char *mem_strdup(const char *s);

/* Copies the first `len` bytes of `s` and adds a NUL. */
char *mem_strndup(const char *s, size_t len);

/* Resizes `p` to `n` objects of `size` bytes. New objects are not initialized. */
void *mem_resize(void *p, size_t n, size_t size);

/*
 * Makes room for at least `need` objects in the array `p` of capacity *cap. The capacity
 * at least doubles when it grows. Returns the array, which may have moved.
 */
void *mem_grow(void *p, size_t *cap, size_t need, size_t size);

/*
 * free(3) and realloc(3) that overwrite released memory, for libraries that handle
 * secrets. mem_wiping_realloc() returns NULL if memory runs out, as these libraries
 * expect.
 */
void mem_wiping_free(void *p);
void *mem_wiping_realloc(void *p, size_t size);

#endif
