/*
 * signature: verify Ed25519 signatures in the form of Nix.
 *
 * A public key is "NAME:BASE64", and so is a signature. NAME tells which key made it:
 *
 *	struct signature_keys keys = {0};
 *	if (signature_add_keys(&keys, "cache.nixos.org-1:6NCH...", &e) < 0)
 *		die("%s", e.text);
 *	if (signature_is_good(&keys, "cache.nixos.org-1:h5gl...", text, len))
 *		...
 *	signature_release(&keys);
 *
 * Specification: RFC 8032, "Ed25519"; Nix manual, "Serving a Nix store via HTTP".
 */
#ifndef DT_SIGNATURE_H
#define DT_SIGNATURE_H

#include "base/strset.h"

#include <stdbool.h>
#include <stddef.h>

struct err;

enum { SIGNATURE_KEY = 32 };

/* Public keys by name. A zeroed struct has none. */
struct signature_keys {
	struct strset names;
	unsigned char (*key)[SIGNATURE_KEY]; /* names.n keys */
	size_t cap;
};

/*
 * Adds all keys of a list that is separated by blanks. A later key replaces an earlier
 * one of the same name. Returns 0, or -1 with the reason in `e`.
 */
int signature_add_keys(struct signature_keys *k, const char *list, struct err *e);

/* Does nothing to a zeroed struct. */
void signature_release(struct signature_keys *k);

/*
 * Whether `signature` is one of the text by the key of its name. `len` is that of the
 * text.
 */
bool signature_is_good(const struct signature_keys *k, const char *signature,
		       const char *text, size_t len);

#endif
