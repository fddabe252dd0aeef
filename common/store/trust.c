#include "store/trust.h"

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/nixdb.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The text that is signed: "1;PATH;sha256:BASE32;SIZE;REFERENCE,..." */
static void fingerprint(const char *path, const struct nixdb_record *r, struct buf *out)
{
	char hash[DIGEST_BASE32 + 1];

	digest_base32(r->sha256, hash);
	buf_addf(out, "1;%s;sha256:%s;%" PRIu64 ";", path, hash, r->size);
	for (size_t i = 0; i < r->n_refs; i++)
		buf_addf(out, "%s%s", i > 0 ? "," : "", r->ref[i]);
}

/* The number of different good signatures, which are separated by blanks. */
static size_t count(const struct trust *t, const char *path, const struct nixdb_record *r)
{
	struct strset seen = {0};
	struct buf text = {0};
	size_t n = 0;

	fingerprint(path, r, &text);
	for (const char *p = r->signatures; p != NULL && *p != '\0';) {
		size_t len = strcspn(p, " "), before = seen.n;
		char *one = mem_strndup(p, len);
		strset_add(&seen, one, len);
		if (seen.n > before &&
		    signature_is_good(&t->keys, one, text.data, text.len))
			n++;
		free(one);
		p += len;
		p += strspn(p, " ");
	}
	strset_release(&seen);
	buf_release(&text);
	return n;
}

/* Appends the references to the type of a store path: "text:REFERENCE:...". */
static void add_references(const char *path, const struct nixdb_record *r, bool may_self,
			   struct buf *type)
{
	bool self = false;

	for (size_t i = 0; i < r->n_refs; i++)
		if (may_self && strcmp(r->ref[i], path) == 0)
			self = true;
		else
			buf_addf(type, ":%s", r->ref[i]);
	if (self)
		buf_addstr(type, ":self");
}

/*
 * Whether the path's name is that of its contents. Only SHA-256 is known here; a path
 * with another hash needs a signature. Nix manual, "Store Path Specification".
 */
static bool is_content_addressed(const char *dir, const char *path,
				 const struct nixdb_record *r)
{
	static const char text[] = "text:", tree[] = "fixed:r:", flat[] = "fixed:";
	const char *ca = r->ca;
	char hex[DIGEST_HEX + 1], want[DIGEST_NIX32 + 1];
	struct buf type = {0};

	if (ca == NULL)
		return false;
	if (strncmp(ca, text, strlen(text)) == 0) {
		ca += strlen(text);
		buf_addstr(&type, "text");
		add_references(path, r, false, &type);
	} else if (strncmp(ca, tree, strlen(tree)) == 0) {
		ca += strlen(tree);
		buf_addstr(&type, "source");
		add_references(path, r, true, &type);
	} else if (strncmp(ca, flat, strlen(flat)) == 0 && r->n_refs == 0) {
		ca += strlen(flat);
		buf_addstr(&type, "output:out");
	}
	bool known =
	    type.len > 0 && strncmp(ca, "sha256:", 7) == 0 && digest_pin(ca, hex) == 0;
	if (known && strcmp(type.data, "output:out") == 0) {
		struct buf inner = {0};
		buf_addf(&inner, "fixed:out:sha256:%s:", hex);
		digest_of(inner.data, inner.len, hex);
		buf_release(&inner);
	}
	if (known) {
		buf_addf(&type, ":sha256:%s:%s:%s", hex, dir, store_name(path));
		digest_of(type.data, type.len, hex);
		digest_nix32(hex, want);
		known = strncmp(path + strlen(dir) + 1, want, DIGEST_NIX32) == 0;
	}
	buf_release(&type);
	return known;
}

int trust_check(const struct trust *t, const char *dir, const char *path,
		const struct nixdb_record *r, struct err *e)
{
	size_t needed = t->needed > 0 ? t->needed : 1;

	if ((r->is_ultimate && t->needed == 0) || is_content_addressed(dir, path, r))
		return 0;
	size_t good = count(t, path, r);
	if (good >= needed)
		return 0;
	if (needed == 1)
		return err_set(e, "no signature by a trusted key");
	return err_set(e, "%zu of %zu signatures by trusted keys", good, needed);
}
