#include "store/pathinfo.h"

#include "base/buf.h"
#include "base/cache.h"
#include "base/err.h"
#include "base/num.h"
#include "store/nar.h"
#include "store/store.h"
#include "tree/tree.h"

#include <inttypes.h>
#include <string.h>

/* Most bytes of a hash that one of two adjacent pieces can contain. */
enum { SEAM = STORE_HASH - 1 };

/* The state while a NAR is hashed. */
struct passage {
	struct digest digest;
	const char *hash; /* STORE_HASH characters to search for */
	bool found;
	char seam[2 * SEAM]; /* last bytes of earlier pieces, and room for the next */
	size_t kept;
	uint64_t size;
};

static bool has(const char *text, size_t len, const char *hash)
{
	return memmem(text, len, hash, STORE_HASH) != NULL;
}

/* Searches for the hash in the piece and across the boundary with the earlier piece. */
static void search(struct passage *p, const char *piece, size_t len)
{
	size_t begin = len < SEAM ? len : SEAM;

	memcpy(p->seam + p->kept, piece, begin);
	p->kept += begin;
	p->found = has(p->seam, p->kept, p->hash) || has(piece, len, p->hash);
	if (begin == SEAM) {
		memcpy(p->seam, piece + len - SEAM, SEAM);
		p->kept = SEAM;
	} else if (p->kept > SEAM) {
		memmove(p->seam, p->seam + p->kept - SEAM, SEAM);
		p->kept = SEAM;
	}
}

static void on_bytes(void *arg, const void *data, size_t len)
{
	struct passage *p = arg;

	digest_update(&p->digest, data, len);
	p->size += len;
	if (!p->found)
		search(p, data, len);
}

/* Returns the result of nar_write(). */
static uint32_t compute(struct pathinfo *r, const struct tree *t, const char *hash)
{
	struct passage p = {.hash = hash};

	digest_init(&p.digest);
	uint32_t touched = nar_write(t, on_bytes, &p);
	digest_hex(&p.digest, r->sha256);
	digest_release(&p.digest);
	r->size = p.size;
	r->refers_to_itself = p.found;
	return touched;
}

static void make_key(const struct tree *t, const char *hash, char key[DIGEST_HEX + 1])
{
	struct digest d;

	digest_init(&d);
	digest_update(&d, hash, STORE_HASH);
	tree_digest(t, &d);
	digest_hex(&d, key);
	digest_release(&d);
}

/* The cache contains "SHA256 SELF SIZE". SELF is 0 or 1. */
static bool parse_fact(struct pathinfo *r, const struct buf *fact)
{
	enum { SELF = DIGEST_HEX + 1, SIZE = SELF + 2 };

	if (fact->len <= SIZE || fact->data[SELF - 1] != ' ' ||
	    strchr("01", fact->data[SELF]) == NULL || fact->data[SIZE - 1] != ' ')
		return false;
	memcpy(r->sha256, fact->data, DIGEST_HEX);
	r->sha256[DIGEST_HEX] = '\0';
	r->refers_to_itself = fact->data[SELF] == '1';
	return digest_is_hex(r->sha256) &&
	       num_parse(fact->data + SIZE, fact->len - SIZE, INT64_MAX, &r->size) == 0;
}

/*
 * Makes one attempt. Returns a file that may have changed while it was read, or TREE_END.
 */
static uint32_t find(struct pathinfo *r, const struct tree *t, const char *path,
		     const char *hash, const struct cache *cache)
{
	static const char kind[] = "nar-2";
	char key[DIGEST_HEX + 1];
	struct buf fact = {0};
	uint32_t touched = TREE_END;

	make_key(t, hash, key);
	bool is_cached = cache_get(cache, kind, key, &fact) && parse_fact(r, &fact);
	inform("%s: NAR hash %s, key %.12s", path, is_cached ? "cached" : "computed",
	       key);
	if (!is_cached) {
		bool settled = tree_is_settled(t);
		touched = compute(r, t, hash);
		buf_clear(&fact);
		buf_addf(&fact, "%s %d %" PRIu64, r->sha256, r->refers_to_itself,
			 r->size);
		if (settled && touched == TREE_END)
			cache_put(cache, kind, key, fact.data, fact.len);
	}
	buf_release(&fact);
	return touched;
}

void pathinfo_find(struct pathinfo *r, const struct store *s, const char *path,
		   const struct cache *cache)
{
	enum { TRIES = 3 };
	static const struct tree_scan how = {.no_devices = true};
	const char *hash = path + strlen(s->dir) + 1;
	uint32_t touched = 0;
	struct buf place = {0};

	store_locate(s, path, &place);
	for (int try = 0; touched != TREE_END; try++) {
		struct tree t = {0};
		tree_scan(&t, place.data, &how);
		touched = find(r, &t, path, hash, cache);
		if (touched != TREE_END && try + 1 == TRIES)
			tree_changed(&t, touched);
		tree_release(&t);
	}
	buf_release(&place);
}
