#include "store/hashindex.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/hash.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Returns the slot of this hash part, or the free slot where it belongs. */
static struct hashindex_entry **find_slot(const struct hashindex *h, const char *hash)
{
	for (size_t at = hash_keyed(hash, STORE_HASH);; at++) {
		struct hashindex_entry **slot = &h->slots[at & (h->n_slots - 1)];
		if (*slot == NULL || memcmp((*slot)->name, hash, STORE_HASH) == 0)
			return slot;
	}
}

/*
 * Returns the bit of a hash part in the filter. In a long run of characters every
 * position is tested, and the filter rejects most positions quickly.
 */
static size_t filter_bit(const struct hashindex *h, const char *hash)
{
	uint64_t w;

	memcpy(&w, hash, sizeof w);
	return (size_t)(w * 0x9e3779b97f4a7c15 >> h->filter_shift);
}

bool hashindex_may_have(const struct hashindex *h, const char *hash)
{
	size_t bit = filter_bit(h, hash);

	return (h->filter[bit / 64] >> bit % 64 & 1) != 0;
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len >= n && strcmp(s + len - n, end) == 0;
}

/*
 * Returns whether `name` is a temporary file that Nix creates next to `whole` while it
 * works on that path.
 */
static bool is_leftover_of(const char *name, const char *whole)
{
	static const char *const tails[] = {".lock", ".check", ".tmp", ".chroot"};
	size_t len = strlen(whole);

	if (strncmp(name, whole, len) != 0)
		return false;
	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++)
		if (strcmp(name + len, tails[i]) == 0)
			return true;
	return strncmp(name + len, ".old-", 5) == 0 ||
	       strncmp(name + len, ".tmp-", 5) == 0;
}

/*
 * Returns 1 if `name` is the lock of a path that does not exist, 0 if not, or -1 with the
 * reason. A lock that has disappeared counts as a lock. A store path may end in ".lock",
 * too, for example HASH-Cargo.lock.
 */
static int is_lone_lock(const struct store *store, const char *name, struct err *e)
{
	struct buf where = {0};
	struct stat st;
	int result;

	if (!ends_with(name, ".lock"))
		return 0;
	buf_addf(&where, "%s%s/%s", store->root, store->dir, name);
	if (lstat(where.data, &st) == 0)
		result = S_ISREG(st.st_mode) && st.st_size == 0 && (st.st_mode & 0222);
	else
		result = errno == ENOENT ? 1 : err_set_errno(e, "%s", where.data);
	buf_release(&where);
	return result;
}

static void drop_leftovers(struct hashindex_entry **first)
{
	for (struct hashindex_entry *e = *first; e != NULL; e = e->twin)
		for (const struct hashindex_entry *o = *first; o != NULL; o = o->twin)
			e->leftover |= is_leftover_of(e->name, o->name);
	for (struct hashindex_entry **link = first; *link != NULL;) {
		if ((*link)->leftover)
			*link = (*link)->twin;
		else
			link = &(*link)->twin;
	}
}

static void index_entries(struct hashindex *h)
{
	int bits = 12;

	while ((size_t)1 << bits < h->n * 4)
		bits++;
	h->n_slots = (size_t)1 << bits;
	h->slots = mem_zero(h->n_slots, sizeof *h->slots);
	h->filter = mem_zero(h->n_slots / 16, sizeof *h->filter);
	h->filter_shift = 64 - (bits + 2);
	for (size_t i = 0; i < h->n; i++) {
		const char *hash = h->entry[i].name;
		struct hashindex_entry **slot = find_slot(h, hash);
		size_t bit = filter_bit(h, hash);
		h->entry[i].twin = *slot;
		*slot = &h->entry[i];
		h->filter[bit / 64] |= (uint64_t)1 << bit % 64;
	}
	for (size_t i = 0; i < h->n_slots; i++)
		if (h->slots[i] != NULL)
			drop_leftovers(&h->slots[i]);
}

int hashindex_list(struct hashindex *h, const struct store *store, struct err *e)
{
	struct buf where = {0};

	store_locate(store, store->dir, &where);
	DIR *dir = opendir(where.data);
	int result = dir != NULL ? 0 : err_set_errno(e, "%s", where.data);
	while (result == 0) {
		errno = 0;
		const struct dirent *d = readdir(dir);
		if (d == NULL) {
			if (errno != 0)
				result = err_set_errno(e, "%s", where.data);
			break;
		}
		size_t len = strlen(d->d_name);
		if (store_base_len(d->d_name, len) != len ||
		    ends_with(d->d_name, ".drv.chroot"))
			continue;
		int is_lock = is_lone_lock(store, d->d_name, e);
		if (is_lock < 0)
			result = -1;
		if (is_lock != 0)
			continue;
		h->entry = mem_grow(h->entry, &h->cap, h->n + 1, sizeof *h->entry);
		h->entry[h->n++] =
		    (struct hashindex_entry){.name = mem_strndup(d->d_name, len)};
	}
	if (dir != NULL)
		closedir(dir);
	buf_release(&where);
	if (result == 0)
		index_entries(h);
	return result;
}

const struct hashindex_entry *hashindex_find(const struct hashindex *h, const char *hash)
{
	return *find_slot(h, hash);
}

void hashindex_release(struct hashindex *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->entry[i].name);
	free(h->entry);
	free(h->slots);
	free(h->filter);
	*h = (struct hashindex){0};
}
