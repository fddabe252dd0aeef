#include "base/strset.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

void strset_release(struct strset *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->name[i]);
	free(s->name);
	free(s->slots);
	*s = (struct strset){0};
}

/* Returns the slot that holds `name`, or the free slot where it belongs. */
static uint32_t *find_slot(const struct strset *s, const char *name, size_t len)
{
	for (size_t at = hash_keyed(name, len);; at++) {
		uint32_t *slot = &s->slots[at & (s->n_slots - 1)];
		if (*slot == 0)
			return slot;
		const char *have = s->name[*slot - 1];
		if (strncmp(have, name, len) == 0 && have[len] == '\0')
			return slot;
	}
}

static void rehash(struct strset *s)
{
	free(s->slots);
	s->n_slots = s->n_slots == 0 ? 64 : s->n_slots * 2;
	s->slots = mem_zero(s->n_slots, sizeof *s->slots);
	for (size_t i = 0; i < s->n; i++)
		*find_slot(s, s->name[i], strlen(s->name[i])) = (uint32_t)i + 1;
}

uint32_t strset_add(struct strset *s, const char *name, size_t len)
{
	if (s->n * 2 >= s->n_slots)
		rehash(s);
	uint32_t *slot = find_slot(s, name, len);
	if (*slot != 0)
		return *slot - 1;
	if (s->n >= STRSET_NONE - 1)
		die("more than %zu names", s->n);
	s->name = mem_grow(s->name, &s->cap, s->n + 1, sizeof *s->name);
	s->name[s->n++] = mem_strndup(name, len);
	*slot = (uint32_t)s->n;
	return *slot - 1;
}

uint32_t strset_find(const struct strset *s, const char *name, size_t len)
{
	if (s->n_slots == 0)
		return STRSET_NONE;
	uint32_t slot = *find_slot(s, name, len);
	return slot == 0 ? STRSET_NONE : slot - 1;
}
