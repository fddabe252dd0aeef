#include "base/mem.h"

#include "base/err.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *mem_zero(size_t n, size_t size)
{
	void *p = calloc(n != 0 ? n : 1, size);
	if (p == NULL)
		die("out of memory");
	return p;
}

char *mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t len)
{
	char *p = mem_zero(len + 1, 1);
	memcpy(p, s, len);
	return p;
}

void *mem_resize(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n != 0 ? n : 1, size);
	if (p == NULL)
		die("out of memory");
	return p;
}

void *mem_grow(void *p, size_t *cap, size_t need, size_t size)
{
	if (need <= *cap)
		return p;
	size_t n = *cap < 16 ? 16 : *cap;
	while (n < need) {
		if (n > (size_t)-1 / 2)
			die("out of memory");
		n *= 2;
	}
	*cap = n;
	return mem_resize(p, n, size);
}

void mem_wiping_free(void *p)
{
	if (p != NULL)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

void *mem_wiping_realloc(void *p, size_t size)
{
	size_t old = p != NULL ? malloc_usable_size(p) : 0;
	void *q = malloc(size);

	if (q == NULL)
		return NULL;
	if (p != NULL)
		memcpy(q, p, old < size ? old : size);
	mem_wiping_free(p);
	return q;
}
