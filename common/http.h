/*
 * http: GET and POST over HTTP, by libcurl. Level 3.
 *
 * Proxies are those of curl(1)'s environment variables, and so are the files of
 * authorities: CURL_CA_BUNDLE, NIX_SSL_CERT_FILE, SSL_CERT_FILE, SSL_CERT_DIR. Nothing
 * that comes in is trusted: heads and bodies are bounded, a transfer that stands still is
 * given up, redirects are followed a few times. One that leads to another origin loses
 * the authorization; from https to http, or from elsewhere to this machine, it is
 * refused. No message contains a query or an authorization.
 */
#ifndef DT_HTTP_H
#define DT_HTTP_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* A client: some connections that are used again. One thread at a time uses it. */
struct http;

/* Without `verify`, any certificate will do. `timeout` is in seconds. */
struct http *http_new(bool verify, unsigned timeout);

/* NULL is a no-op. */
void http_release(struct http *h);

/*
 * What is asked for, and where it goes. `have` counts the bytes that the caller has got;
 * if it is not 0, only what follows them is asked for. It may be asked for again after a
 * failure, and then goes on.
 */
struct http_request {
	const char *url;
	const char *accept;        /* media types, or NULL */
	const char *authorization; /* the header's value, or NULL */
	const char *form;          /* the body of a POST, or NULL for GET */
	uint64_t have, limit;      /* bytes of the whole body: at most `limit` */
	/* The server starts over: forget what came so far. Returns 0, or -1 and why. */
	int (*restart)(void *arg, struct err *e);
	/* The next bytes. Returns 0, or -1 and why no more are wanted. */
	int (*take)(void *arg, const void *data, size_t len, struct err *e);
	void *arg;
};

/* Has the body go to `b`, at most `limit` bytes. */
void http_into(struct http_request *q, struct buf *b, size_t limit);

struct http_response {
	long status;       /* 0: none came */
	char type[128];    /* the media type, lower case, without parameters; or "" */
	struct buf offers; /* the values of WWW-Authenticate, a line each */
	int64_t first;     /* the first byte of a Content-Range, or -1 */
	uint64_t wait;     /* Retry-After in seconds, or 0 */
	bool is_cut;       /* the transfer failed in a way that may pass */
};

void http_response_release(struct http_response *r);

/*
 * Sends the request. Returns 0 if a response came whole, whatever its status; only the
 * body of 200 and 206 is delivered. Returns -1 and why if none did.
 */
int http_send(struct http *h, struct http_request *q, struct http_response *r,
	      struct err *e);

/* What a URL consists of, for http_origin(). */
struct http_origin {
	char text[512]; /* "https://host:port" */
	char host[256];
	bool is_secure;
};

/*
 * Splits a URL of http or https. Returns 0, or -1 and why not; a URL with a user or a
 * password in it is refused.
 */
int http_origin(struct http_origin *o, const char *url, struct err *e);

/* Replaces `url` by what a reference in it means, RFC 3986. Returns 0, or -1. */
int http_join(struct buf *url, const char *reference);

/*
 * Whether a server at `from` may send us to the host `to`: itself, or anywhere, but for
 * this machine and what is on its link, unless it is there, too.
 */
bool http_may_lead(const char *from, const char *to);

/* Appends the text with all but letters, digits and -._~ escaped. */
void http_escape(struct buf *out, const char *text);

#endif
