#include "tree/record.h"

#include "base/mem.h"

#include <stdlib.h>

void record_begin(struct record *r, struct record_budget *budget, size_t size)
{
	size_t left = atomic_load(&budget->left);

	do {
		if (left < size)
			return;
	} while (!atomic_compare_exchange_weak(&budget->left, &left, left - size));
	r->budget = budget;
	r->size = size;
	buf_reserve(&r->bytes, size);
}

bool record_is_complete(const struct record *r)
{
	return r->budget != NULL;
}

/* Whether the record has room for as many bytes. If not, it becomes empty. */
static bool has_room(struct record *r, size_t n)
{
	if (!record_is_complete(r))
		return false;
	if (r->size - r->bytes.len - r->n * sizeof *r->file >= n)
		return true;
	record_release(r);
	return false;
}

void record_bytes(struct record *r, const void *data, size_t len)
{
	if (has_room(r, len))
		buf_add(&r->bytes, data, len);
}

void record_file(struct record *r, const struct tree *t, uint32_t entry)
{
	if (!has_room(r, sizeof *r->file))
		return;
	r->file = mem_grow(r->file, &r->cap, r->n + 1, sizeof *r->file);
	r->file[r->n++] = (struct record_file){r->bytes.len, t, entry};
}

void record_release(struct record *r)
{
	if (r->budget != NULL)
		atomic_fetch_add(&r->budget->left, r->size);
	buf_release(&r->bytes);
	free(r->file);
	*r = (struct record){0};
}
