#include "base/hardlinks.h"

#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>

enum { CAP_MIN = 1024 };

struct hardlinks_file {
	uint64_t dev, ino;
	size_t value;
	bool is_there;
};

void hardlinks_release(struct hardlinks *l)
{
	free(l->file);
	*l = (struct hardlinks){0};
}

/* Returns the entry of the file, or the free entry where it belongs. */
static struct hardlinks_file *find(const struct hardlinks *l, uint64_t dev, uint64_t ino)
{
	size_t mask = l->cap - 1, i = (size_t)(ino * 0x9e3779b97f4a7c15u >> 20) & mask;

	while (l->file[i].is_there && (l->file[i].ino != ino || l->file[i].dev != dev))
		i = (i + 1) & mask;
	return &l->file[i];
}

static void grow(struct hardlinks *l)
{
	struct hardlinks old = *l;

	l->cap = old.cap == 0 ? CAP_MIN : old.cap * 2;
	l->file = mem_zero(l->cap, sizeof *l->file);
	for (size_t i = 0; i < old.cap; i++)
		if (old.file[i].is_there)
			*find(l, old.file[i].dev, old.file[i].ino) = old.file[i];
	free(old.file);
}

size_t hardlinks_first(struct hardlinks *l, uint64_t dev, uint64_t ino, size_t value)
{
	if (l->n * 2 >= l->cap)
		grow(l);
	struct hardlinks_file *at = find(l, dev, ino);
	if (!at->is_there) {
		*at = (struct hardlinks_file){dev, ino, value, true};
		l->n++;
	}
	return at->value;
}
