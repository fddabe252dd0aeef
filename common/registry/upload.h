/*
 * upload: store blobs and manifests in a repository.
 *
 * A blob that is complete and not large is sent in one request. A larger one, or one that
 * still grows, is sent in chunks. A chunk is the unit of resuming: after a failure the
 * upload continues behind the last chunk that the registry kept, or begins again. The
 * digest in the last request decides whether the registry stores the blob, so a registry
 * that mixes up chunks cannot store wrong bytes.
 *
 *	if (upload_has(r, hex, size, &has, &e) == 0 && !has)
 *		result = upload_blob(&u, &packed, NULL, &e);
 *
 * All functions return 0, or -1 and a reason. Several threads may call them at once.
 *
 * Specification: OCI distribution specification, "Push".
 */
#ifndef DT_UPLOAD_H
#define DT_UPLOAD_H

#include "base/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct packed;
struct registry;

enum { UPLOAD_CHUNK = 32 << 20 }; /* bytes */

struct upload {
	struct registry *registry;
};

/*
 * Asks whether the repository has a blob. An answer with another size than `size` counts
 * as no. `size` is UINT64_MAX if it is unknown.
 */
int upload_has(struct registry *r, const char *hex, uint64_t size, bool *has,
	       struct err *e);

/*
 * Asks the registry to take the blob from the repository `from`. Sets *done to whether it
 * did. If not, it may have begun an upload instead, whose URL replaces `location`.
 */
int upload_mount(struct registry *r, const char *hex, const char *from, bool *done,
		 struct buf *location, struct err *e);

/*
 * Stores a blob, which may still grow. `location` is the URL of an upload that
 * upload_mount() began; NULL or empty if there is none.
 */
int upload_blob(const struct upload *u, struct packed *p, const char *location,
		struct err *e);

/*
 * Stores a manifest or an index under a tag or "sha256:HEX". Sets *status to the status
 * of the response, or to 0. Sets *has_subject to whether the registry handles its
 * `subject`.
 */
int upload_manifest(const struct upload *u, const char *what, const struct buf *text,
		    const char *type, long *status, bool *has_subject, struct err *e);

#endif
