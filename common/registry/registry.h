/*
 * registry: send requests to a registry.
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
 * Specification: OCI distribution specification, "Pull" and "Push".
 */
#ifndef DT_REGISTRY_H
#define DT_REGISTRY_H

#include "base/opt.h"
#include "registry/http.h"

#include <stdbool.h>

struct buf;
struct err;
struct reference;
struct registry;
struct sandbox;

struct registry_options {
	const char *mirror; /* HOST[:PORT][/PATH], asked before Docker Hub; or NULL */
	bool verify;        /* false: allow any certificate, and HTTP without TLS */
	unsigned timeout;   /* seconds until a slow transfer fails: see http.h */
	unsigned retries;   /* after a temporary failure */
	bool push;          /* ask for the right to write to the repository */
	const char *other;  /* path of another repository there to read from; or NULL */
};

/* The keys of the options for a registry. A tool's own options must have other keys. */
enum { REGISTRY_OPT_RETRIES = 200, REGISTRY_OPT_TIMEOUT, REGISTRY_OPT_TLS_VERIFY };

/* Rows for a tool's option table. */
/* clang-format off */
#define REGISTRY_OPTION_TLS_VERIFY \
	{REGISTRY_OPT_TLS_VERIFY, "tls-verify", "BOOL", \
	 "false: accept any certificate, and HTTP without TLS"}
#define REGISTRY_OPTIONS_FAILURE \
	{REGISTRY_OPT_TIMEOUT, "timeout", "SECONDS", \
	 "abort a transfer that stalls for this long (60)"}, \
	{REGISTRY_OPT_RETRIES, "retries", "N", "number of retries after a temporary failure (4)"}
/* clang-format on */

/* Sets the defaults of the options. */
void registry_options_init(struct registry_options *o);

/*
 * Handles an option. Returns false if `key` is not one of the keys above. Exits with
 * status 2 if the value is invalid.
 */
bool registry_option(struct registry_options *o, int key, const char *value);

/*
 * Lists what the registry needs in a sandbox: files with credentials, programs that have
 * them, and ports. The ports are 443, and 80 if HTTP without TLS is allowed. If a name
 * has a port, or if a proxy is set, all ports are allowed, because the registry's token
 * server may have another one.
 */
void registry_sandbox(struct sandbox *s, const struct reference *ref,
		      const struct registry_options *o);

/* How many requests a tool sends at once, by default and at most. */
enum { REGISTRY_JOBS = 4, REGISTRY_JOBS_MAX = 64 };

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
 * Sends any request to the registry itself, never to a mirror. `where` is a path below
 * the repository ("blobs/uploads/"), or the absolute URL of a Location. Another host than
 * the registry's gets no credentials, and may not be a local address unless the registry
 * is one.
 *
 * The request is repeated after temporary failures, unless `once`. Returns 0 if a
 * response came, whose status the caller must check: it may be any but 429 and 5xx.
 * Otherwise returns -1 and a reason. The caller must release `a` in both cases.
 */
int registry_send(struct registry *r, const char *where, bool once,
		  struct http_request *q, struct http_response *a, struct err *e);

/*
 * Gets manifests/WHAT from the registry itself and appends it to `text`. Sets `type`, a
 * buffer of 128 bytes, to the media type of the response. Returns 1, 0 if the registry
 * does not have it, or -1 and a reason.
 */
int registry_manifest(struct registry *r, const char *what, struct buf *text, char *type,
		      struct err *e);

/* Sets the reason for an unexpected status in a response. Returns -1. */
int registry_refused(const struct registry *r, const char *where,
		     const struct http_response *a, struct err *e);

/* The registry's HOST[:PORT] and the path of the repository, for keys of the cache. */
const char *registry_host(const struct registry *r);
const char *registry_path(const struct registry *r);

/* How often a request is repeated after temporary failures. */
unsigned registry_retries(const struct registry *r);

/*
 * Waits after attempt `attempt`, counted from 0, for `seconds` if the server asked for
 * that. For callers that repeat a request of registry_send() themselves.
 */
void registry_pause(unsigned attempt, uint64_t seconds);

/* Whether the same request may succeed later. */
bool registry_may_pass(const struct http_response *a);

/*
 * Gets a URL of a manifest, on any host, without credentials. Otherwise as
 * registry_get().
 */
int registry_get_url(struct registry *r, const char *url, struct http_request *q,
		     struct err *e);

#endif
