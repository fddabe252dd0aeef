/*
 * strset: a set of strings that gives each string a number.
 *
 * Numbers are indexes of arrays, so other data about a string can be kept in an array:
 *
 *	uint32_t i = strset_add(&set, path, strlen(path));
 *	size[i] += st.st_size;
 *
 * Numbers start at 0 and follow the order of addition. Strings contain no NUL. A zeroed
 * struct is an empty set. The process ends with a message if memory runs out.
 */
#ifndef DT_STRSET_H
#define DT_STRSET_H

#include <stddef.h>
#include <stdint.h>

#define STRSET_NONE UINT32_MAX

struct strset {
	char **name; /* n strings, owned by the set */
	size_t n, cap;
	uint32_t *slots; /* hash table with open addressing: number + 1, or 0 if free */
	size_t n_slots;
};

void strset_release(struct strset *s);

/*
 * Returns the number of the string with `len` bytes at `name`. Adds the string if it is
 * new.
 */
uint32_t strset_add(struct strset *s, const char *name, size_t len);

/* Returns the number of the string, or STRSET_NONE if the set does not contain it. */
uint32_t strset_find(const struct strset *s, const char *name, size_t len);

#endif
