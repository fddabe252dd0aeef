/*
 * attach: store a document in a registry as a referrer of an image.
 *
 * A referrer is a manifest with the document as its only blob and with the image's
 * manifest as its `subject`. Scanners and oras(1) find it by asking the registry for the
 * referrers of the image. For registries that do not maintain this list, the client
 * maintains it as an index under the tag sha256-HEX.
 *
 *	if (attach_document(&upload, "1", fd, "sbom.json", "application/spdx+json", &r,
 *&e) == 0) printf("%s\n", r.hex);
 *
 * Specifications: OCI image specification, manifest.md, "Guidelines for Artifact Usage";
 * OCI distribution specification, "Pushing Manifests with Subject" and "Referrers Tag
 * Schema".
 */
#ifndef DT_ATTACH_H
#define DT_ATTACH_H

#include "base/digest.h"

#include <stdint.h>

struct err;
struct upload;

struct attach_result {
	char hex[DIGEST_HEX + 1]; /* of the new manifest */
	uint64_t sent, reused;    /* bytes of blobs */
};

/*
 * Stores the regular file `fd`. `subject` is a tag or "sha256:HEX" of the repository,
 * `name` the file's name without directories, `type` its media type. Returns 0, or -1 and
 * a reason.
 */
int attach_document(const struct upload *u, const char *subject, int fd, const char *name,
		    const char *type, struct attach_result *r, struct err *e);

#endif
