/*
 * mem: allocation that dies.
 *
 * Every function ends the process with a message when memory runs out or a size
 * overflows; none returns NULL. Memory is released with free(3).
 */
#ifndef DT_MEM_H
#define DT_MEM_H

#include <stddef.h>

/* `n` zeroed objects of `size` bytes. */
void *mem_zero(size_t n, size_t size);

char *mem_strdup(const char *s);

/* The first `len` bytes of `s`, NUL-terminated. */
char *mem_strndup(const char *s, size_t len);

/* `p` resized to `n` objects of `size` bytes; new ones are not initialised. */
void *mem_resize(void *p, size_t n, size_t size);

/*
 * Makes room for at least `need` objects in the array `p` of capacity `*cap`, at least
 * doubling it. Returns the array, which may have moved.
 */
void *mem_grow(void *p, size_t *cap, size_t need, size_t size);

/*
 * free(3) and realloc(3) that overwrite what they give up, for libraries that are handed
 * secrets. mem_wiping_realloc() returns NULL if memory runs out, as they expect.
 */
void mem_wiping_free(void *p);
void *mem_wiping_realloc(void *p, size_t size);

#endif
