#include "run/kept.h"

#include "base/draft.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void kept_init(struct kept *k, const char *kind, const char key[DIGEST_HEX + 1],
	       const char *suffix)
{
	*k = (struct kept){.kind = kind};
	memcpy(k->key, key, sizeof k->key);
	cache_init(&k->cache, true);
	if (k->cache.dir != NULL)
		buf_addf(&k->path, "%s/%s/%s.%s", k->cache.dir, kind, key, suffix);
}

void kept_release(struct kept *k)
{
	cache_release(&k->cache);
	buf_release(&k->path);
}

/* The hex digest of a complete file. Returns 0, or -1. */
static int hash_file(int fd, char hex[DIGEST_HEX + 1])
{
	struct stat st;

	return fstat(fd, &st) < 0 ? -1 : digest_span(fd, 0, (uint64_t)st.st_size, hex);
}

int kept_find(const struct kept *k)
{
	return k->path.len > 0 ? open(k->path.data, O_RDONLY | O_CLOEXEC) : -1;
}

bool kept_is_valid(const struct kept *k, int fd)
{
	struct buf want = {0};
	char hex[DIGEST_HEX + 1];
	bool is_valid = cache_get(&k->cache, k->kind, k->key, &want) &&
			hash_file(fd, hex) == 0 && strcmp(want.data, hex) == 0;

	buf_release(&want);
	return is_valid;
}

int kept_open(const struct kept *k)
{
	int fd = kept_find(k);

	if (fd >= 0 && !kept_is_valid(k, fd)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void kept_remove(const struct kept *k)
{
	unlink(k->path.data);
}

int kept_begin(const struct kept *k, struct draft *draft)
{
	if (k->path.len == 0)
		return -1;
	cache_make_directories(k->path.data);
	return cache_begin(&k->cache, draft, k->path.data);
}

void kept_end(const struct kept *k, struct draft *draft, bool ok)
{
	char hex[DIGEST_HEX + 1];
	int fd = ok ? open(draft->name, O_RDONLY | O_CLOEXEC) : -1;

	ok = fd >= 0 && hash_file(fd, hex) == 0;
	if (fd >= 0)
		close(fd);
	if (draft_close(draft, ok) == 0 && ok)
		cache_put(&k->cache, k->kind, k->key, hex, DIGEST_HEX);
}
