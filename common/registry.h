/*
 * registry: asking a registry for manifests and blobs. Level 7.
 *
 * The pull side of the OCI distribution specification: a mirror of Docker Hub is asked
 * first, failures that may pass are tried again, and each host gets the authorization
 * that it asks for (login.h), nothing of any other host's. The answers are not checked
 * here; the caller has a digest to compare them with. All functions may be called by
 * several threads at once.
 */
#ifndef DT_REGISTRY_H
#define DT_REGISTRY_H

#include "http.h"

#include <stdbool.h>

struct err;
struct reference;
struct registry;

struct registry_options {
	const char *mirror; /* HOST[:PORT][/PATH] to ask before Docker Hub, or NULL */
	bool verify;        /* else any certificate will do, and HTTP without TLS */
	unsigned timeout;   /* of transfers that stand still, in seconds */
	unsigned retries;   /* of what failed in a way that may pass */
};

/* The registry of the image `ref`, which is kept, as `o` is. The caller releases it. */
struct registry *registry_new(const struct reference *ref,
			      const struct registry_options *o);
void registry_release(struct registry *r);

/*
 * Asks for KIND/WHAT of the repository, KIND being "manifests" or "blobs"; `q` says what
 * of it and where it goes. A transfer that is cut, and an answer that says "later", are
 * tried again, a few times. Sets `type`, of 128 bytes, to the media type of what came, or
 * "none". Returns 0, or -1 and why not; what came by then is counted in q->have.
 */
int registry_get(struct registry *r, const char *kind, const char *what,
		 struct http_request *q, char *type, struct err *e);

/* The same of a URL anywhere, without credentials. */
int registry_get_url(struct registry *r, const char *url, struct http_request *q,
		     struct err *e);

#endif
