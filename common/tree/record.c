#include "tree/record.h"

#include "base/mem.h"

#include <stdlib.h>

void record_begin(struct record *r, struct record_budget *budget)
{
	r->budget = budget;
	r->is_complete = budget != NULL;
}

/* Takes bytes from the budget. If it has less, the record becomes empty. */
static bool take(struct record *r, size_t n)
{
	size_t left;

	if (!r->is_complete)
		return false;
	left = atomic_load(&r->budget->left);
	do {
		if (left < n) {
			record_release(r);
			return false;
		}
	} while (!atomic_compare_exchange_weak(&r->budget->left, &left, left - n));
	return true;
}

void record_bytes(struct record *r, const void *data, size_t len)
{
	if (take(r, len))
		buf_add(&r->bytes, data, len);
}

void record_file(struct record *r, const struct tree *t, uint32_t entry)
{
	if (!take(r, sizeof *r->file))
		return;
	r->file = mem_grow(r->file, &r->cap, r->n + 1, sizeof *r->file);
	r->file[r->n++] = (struct record_file){r->bytes.len, t, entry};
}

void record_release(struct record *r)
{
	if (r->budget != NULL)
		atomic_fetch_add(&r->budget->left, r->bytes.len + r->n * sizeof *r->file);
	buf_release(&r->bytes);
	free(r->file);
	*r = (struct record){0};
}
