#include "store/scan.h"

#include "base/buf.h"
#include "base/cache.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/num.h"
#include "base/strset.h"
#include "store/scan-private.h"
#include "store/store.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

static const char kind[] = "scan"; /* of facts in the cache */

int scan_key(const char *path, const char *where, char key[DIGEST_HEX + 1], struct err *e)
{
	struct buf text = {0};
	struct stat st;

	if (lstat(where, &st) < 0)
		return err_set_errno(e, "%s", where);
	buf_addf(&text,
		 "dt-closure scan 1\n%s\n%s\n%" PRIu64 " %" PRIu64 " %" PRId64
		 ".%09ld %o\n",
		 path, where, (uint64_t)st.st_ino, (uint64_t)st.st_size,
		 (int64_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec, (unsigned)st.st_mode);
	digest_of(text.data, text.len, key);
	buf_release(&text);
	return 0;
}

/* A fact is "SIZE\n", and "HASH\n" for each hash found. */
bool scan_recall(const struct cache *cache, const char *key, uint64_t *size,
		 struct strset *found)
{
	struct buf fact = {0};
	bool hit = false;

	if (cache_get(cache, kind, key, &fact)) {
		char *p = memchr(fact.data, '\n', fact.len);
		size_t rest = p != NULL ? fact.len - (size_t)(++p - fact.data) : 1;
		hit = rest % (STORE_HASH + 1) == 0 &&
		      num_parse(fact.data, (size_t)(p - fact.data) - 1, INT64_MAX,
				size) == 0;
		for (; hit && rest > 0; rest -= STORE_HASH + 1, p += STORE_HASH + 1)
			strset_add(found, p, STORE_HASH);
	}
	buf_release(&fact);
	return hit;
}

void scan_remember(const struct cache *cache, const char *key, uint64_t size,
		   const struct strset *found)
{
	struct buf fact = {0};

	buf_addf(&fact, "%" PRIu64 "\n", size);
	for (size_t i = 0; i < found->n; i++)
		buf_addf(&fact, "%s\n", found->name[i]);
	cache_put(cache, kind, key, fact.data, fact.len);
	buf_release(&fact);
}
