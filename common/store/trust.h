/*
 * trust: decide whether a store path comes from a trusted source, as Nix does.
 *
 * Nix trusts a path for one of these reasons:
 *
 *   - It was built on this machine.
 *   - Its name is computed from its contents: it is content-addressed.
 *   - It has a signature by a trusted key.
 *
 *	if (signature_add_keys(&trust.keys, list, &e) < 0 ||
 *	    trust_check(&trust, dir, path, &record, &e) < 0)
 *		die("%s", e.text);
 *
 * A signature covers the path, the hash and size of its NAR, and its references (Nix
 * manual, "nix store sign").
 */
#ifndef DT_TRUST_H
#define DT_TRUST_H

#include "base/signature.h"

#include <stddef.h>

struct err;
struct nixdb_record;

struct trust {
	struct signature_keys keys;
	/*
	 * The number of signatures by trusted keys that each path needs, except for
	 * content-addressed paths. 0: one, except for paths built on this machine.
	 */
	size_t needed;
};

/*
 * Checks one store path. `dir` is the directory of the store. Returns 0, or -1 with the
 * reason in `e`, which does not contain the path.
 */
int trust_check(const struct trust *t, const char *dir, const char *path,
		const struct nixdb_record *r, struct err *e);

#endif
