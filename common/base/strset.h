/*
 * strset: a set of strings, each with a number.
 *
 * Numbers count from 0 in the order in which names were added. A zeroed struct is an
 * empty set.
 */
#ifndef DT_STRSET_H
#define DT_STRSET_H

#include <stddef.h>
#include <stdint.h>

enum { STRSET_NONE = UINT32_MAX };

struct strset {
	char **name; /* n strings, owned */
	size_t n, cap;
	uint32_t *slots; /* open addressing; number + 1, 0 for free */
	size_t n_slots;
};

void strset_release(struct strset *s);

/* The number of the `len` bytes at `name`, which is added if it is new. */
uint32_t strset_add(struct strset *s, const char *name, size_t len);

/* Its number, or STRSET_NONE. */
uint32_t strset_find(const struct strset *s, const char *name, size_t len);

#endif
