/*
 * registry: get manifests and blobs from a registry.
 *
 * A mirror of Docker Hub is asked first. Requests are repeated after temporary failures.
 * Each host gets only its own authorization, see login.h. The caller must verify the
 * digest of what it gets. Several threads may call all functions at once.
 *
 *	r = registry_new(&reference, &options);
 *	if (registry_get(r, "manifests", "latest", &request, type, &e) == 0)
 *		...
 *	registry_release(r);
 *
 * Specification: OCI distribution specification, "Pull".
 */
#ifndef DT_REGISTRY_H
#define DT_REGISTRY_H

#include "registry/http.h"

#include <stdbool.h>

struct err;
struct reference;
struct registry;

struct registry_options {
	const char *mirror; /* HOST[:PORT][/PATH], asked before Docker Hub; or NULL */
	bool verify;        /* false: allow any certificate, and HTTP without TLS */
	unsigned timeout;   /* seconds until a slow transfer fails: see http.h */
	unsigned retries;   /* after a temporary failure */
};

/*
 * Opens the registry of the image `ref`. `ref` and `o` are not copied. The caller must
 * release the result.
 */
struct registry *registry_new(const struct reference *ref,
			      const struct registry_options *o);

/* Does nothing if `r` is NULL. */
void registry_release(struct registry *r);

/*
 * Gets KIND/WHAT of the repository. `kind` is "manifests" or "blobs"; `what` is a digest
 * or a tag. `q` has the range and the callbacks for the body; its URL is set here. `type`
 * is a buffer of 128 bytes for the media type of the response, or "none" if it has none;
 * it may be NULL. Returns 0, or -1 and a reason. q->have counts the bytes received in
 * both cases.
 */
int registry_get(struct registry *r, const char *kind, const char *what,
		 struct http_request *q, char *type, struct err *e);

/*
 * Gets a URL of a manifest, on any host, without credentials. Otherwise as
 * registry_get().
 */
int registry_get_url(struct registry *r, const char *url, struct http_request *q,
		     struct err *e);

#endif
