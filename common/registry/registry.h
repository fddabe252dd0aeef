/*
 * registry: asking a registry for manifests and blobs.
 *
 * The pull side of the OCI distribution specification: a mirror of Docker Hub is asked
 * first, failures that may pass are tried again, and each host gets the authorization
 * that it asks for (login.h), nothing of any other host's. The answers are not checked
 * here; the caller has a digest to compare them with. All functions may be called by
 * several threads at once.
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
	bool verify;        /* false: any certificate will do, and HTTP without TLS */
	unsigned timeout;   /* seconds, after which a transfer is given up: see http.h */
	unsigned retries;   /* after a failure that may pass */
};

/* The registry of the image `ref`. Keeps `ref` and `o`. The caller releases it. */
struct registry *registry_new(const struct reference *ref,
			      const struct registry_options *o);
void registry_release(struct registry *r);

/*
 * Asks for KIND/WHAT of the repository: kind is "manifests" or "blobs", `what` a digest
 * or a tag. `q` says which bytes of it are wanted and where they go; its URL is set here.
 * Sets `type`, of 128 bytes, to the media type of the answer, or "none"; it may be NULL.
 * Returns 0, or -1 and why not; q->have counts the bytes that came by then.
 */
int registry_get(struct registry *r, const char *kind, const char *what,
		 struct http_request *q, char *type, struct err *e);

/* The same for a URL that a manifest gives, anywhere, without credentials. */
int registry_get_url(struct registry *r, const char *url, struct http_request *q,
		     struct err *e);

#endif
