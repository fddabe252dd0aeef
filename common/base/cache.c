#include "base/cache.h"

#include "base/buf.h"
#include "base/digest.h"
#include "base/draft.h"
#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FACT_MAX = 64 << 20 };

void cache_init(struct cache *c, bool on)
{
	const char *own = getenv("DT_CACHE"), *base = own, *below = "";
	struct buf dir = {0};

	*c = (struct cache){0};
	if (base == NULL || *base == '\0') {
		base = getenv("XDG_CACHE_HOME");
		below = "/dt";
	}
	if (base == NULL || *base == '\0') {
		base = getenv("HOME");
		below = "/.cache/dt";
		/*
		 * Do not create a missing home directory; in a Nix build it does not
		 * exist on purpose.
		 */
		if (base != NULL && access(base, F_OK) < 0)
			return;
	}
	/* The XDG specification requires an absolute path. $DT_CACHE may be relative. */
	if (!on || base == NULL || *base == '\0' || (base != own && *base != '/'))
		return;
	buf_addf(&dir, "%s%s", base, below);
	c->dir = dir.data;
}

void cache_release(struct cache *c)
{
	free(c->dir);
	c->dir = NULL;
}

/* Computes the checksum over key and result, which is the first line of the file. */
static void checksum(const char *key, const char *fact, size_t len,
		     char hex[DIGEST_HEX + 1])
{
	struct digest d;

	digest_init(&d);
	digest_update(&d, key, strlen(key));
	digest_update(&d, fact, len);
	digest_hex(&d, hex);
	digest_release(&d);
}

bool cache_get(const struct cache *c, const char *kind, const char *key, struct buf *out)
{
	struct buf name = {0};
	char sum[DIGEST_HEX + 1];
	bool hit = false;

	if (c->dir == NULL)
		return false;
	buf_addf(&name, "%s/%s/%s", c->dir, kind, key);
	buf_clear(out);
	if (io_slurp_file(name.data, out, FACT_MAX) == 0 && out->len > DIGEST_HEX &&
	    out->data[DIGEST_HEX] == '\n') {
		size_t len = out->len - DIGEST_HEX - 1;
		checksum(key, out->data + DIGEST_HEX + 1, len, sum);
		hit = memcmp(sum, out->data, DIGEST_HEX) == 0;
		memmove(out->data, out->data + DIGEST_HEX + 1, len + 1);
		out->len = len;
	}
	buf_release(&name);
	return hit;
}

void cache_make_directories(char *name)
{
	for (char *p = strchr(name + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdir(name, 0700);
		*p = '/';
	}
}

int cache_begin(const struct cache *c, struct draft *d, const char *file)
{
	static atomic_flag swept = ATOMIC_FLAG_INIT;
	struct buf drafts = {0};

	buf_addf(&drafts, "%s/drafts", c->dir);
	if (!atomic_flag_test_and_set(&swept))
		draft_sweep(drafts.data);
	int result = draft_open(d, file, 0600, drafts.data);
	if (result < 0 && errno == ENOENT) {
		buf_addch(&drafts, '/');
		cache_make_directories(drafts.data);
		drafts.data[--drafts.len] = '\0';
		result = draft_open(d, file, 0600, drafts.data);
	}
	buf_release(&drafts);
	return result;
}

void cache_put(const struct cache *c, const char *kind, const char *key, const char *fact,
	       size_t len)
{
	struct buf directory = {0}, name = {0}, text = {0};
	char sum[DIGEST_HEX + 1];
	struct draft d;

	if (c->dir == NULL)
		return;
	buf_addf(&directory, "%s/%s", c->dir, kind);
	buf_addf(&name, "%s/%s", directory.data, key);
	if (cache_begin(c, &d, name.data) == 0) {
		(void)mkdir(directory.data, 0700);
		checksum(key, fact, len, sum);
		buf_addf(&text, "%s\n", sum);
		buf_add(&text, fact, len);
		(void)draft_close(&d, io_write(d.fd, text.data, text.len) == 0);
	}
	buf_release(&directory);
	buf_release(&name);
	buf_release(&text);
}
