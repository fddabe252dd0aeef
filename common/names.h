/*
 * names: a set of strings, each with a number. Level 2.
 *
 * Numbers count from 0 in the order in which names were added. A zeroed struct is an
 * empty set.
 */
#ifndef DT_NAMES_H
#define DT_NAMES_H

#include <stddef.h>
#include <stdint.h>

enum { NAMES_NONE = UINT32_MAX };

struct names {
	char **name; /* n strings, owned */
	size_t n, cap;
	uint32_t *slots; /* open addressing; number + 1, 0 for free */
	size_t n_slots;
};

void names_release(struct names *s);

/* The number of the `len` bytes at `name`, which is added if it is new. */
uint32_t names_add(struct names *s, const char *name, size_t len);

/* Its number, or NAMES_NONE. */
uint32_t names_find(const struct names *s, const char *name, size_t len);

#endif
