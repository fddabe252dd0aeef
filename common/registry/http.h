/*
 * http: GET and POST over HTTP, by libcurl.
 *
 *     struct http_request q = {.url = "https://example.org/x"};
 *     http_into(&q, &body, 4096);
 *     if (http_send(client, &q, &response, &why) == 0 && response.status == 200) ...
 *
 * Servers are untrusted. Headers and bodies have bounded sizes, a transfer below a
 * minimum rate is given up, and redirects are followed a few times:
 *
 * - A request that has left the origin of its URL has no authorization any more, even if
 *   it comes back, and no WWW-Authenticate of such a response is reported.
 * - No redirect leads from https to http.
 * - A server elsewhere cannot lead to addresses that only this machine reaches. The
 *   address of the connection decides, so a name that resolves differently the next time
 *   is no way around.
 *
 * Proxies are those of curl(1)'s environment variables, and so are the files of
 * authorities: CURL_CA_BUNDLE, NIX_SSL_CERT_FILE, SSL_CERT_FILE, SSL_CERT_DIR. No message
 * contains a path, a query or an authorization.
 */
#ifndef DT_HTTP_H
#define DT_HTTP_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* A client, which keeps connections open. Only one thread at a time may use it. */
struct http;

/*
 * Without `verify`, any certificate will do. A transfer below 1 KiB a second is given up
 * after `timeout` seconds.
 */
struct http *http_new(bool verify, unsigned timeout);

/* NULL is a no-op. */
void http_release(struct http *h);

/* Where a server is, as seen from this machine. */
enum http_place {
	HTTP_UNKNOWN,
	HTTP_FAR,        /* others reach it, too */
	HTTP_ON_MACHINE, /* a loopback address */
	HTTP_ON_LINK,    /* a link-local address, or a service of the cloud's host */
};

/*
 * The place of an address, in the text of a URL ("127.1", "[::1]"). The place of a name
 * is not known before it is resolved: it is HTTP_FAR, except for localhost.
 */
enum http_place http_place_of(const char *host);

/*
 * What is asked for, and where the body goes. `have` counts the bytes of it that the
 * caller has; if there are any, only the rest is asked for. So a request that failed can
 * be sent again, and continues.
 */
struct http_request {
	const char *url;
	enum http_place from;      /* where the server is that named the URL;
				      HTTP_UNKNOWN: the user did, it may be anywhere */
	const char *accept;        /* media types, or NULL */
	const char *authorization; /* the header's value, or NULL */
	const char *form;          /* the body of a POST, or NULL for GET */
	uint64_t have, limit;      /* bytes; the complete body has at most `limit` */
	/* Forgets the bytes: the server starts over. Returns 0, or -1 and why not. */
	int (*restart)(void *arg, struct err *e);
	/* Takes the next bytes. Returns 0, or -1 and why no more are wanted. */
	int (*take)(void *arg, const void *data, size_t len, struct err *e);
	void *arg;
};

/* Makes the body go to `b`, at most `limit` bytes of it. */
void http_into(struct http_request *q, struct buf *b, size_t limit);

struct http_response {
	long status;           /* of the last response; 0: it did not come */
	bool has_answered;     /* the server of the URL sent a response */
	bool is_elsewhere;     /* a redirect led to another origin than the URL's */
	enum http_place place; /* of the server that sent it */
	char type[128];        /* the media type, lower case, without parameters; or "" */
	struct buf offers;     /* the values of WWW-Authenticate, a line each */
	uint64_t wait;         /* Retry-After in seconds, or 0 */
	bool is_cut;           /* the transfer failed, and may succeed later */
};

void http_response_release(struct http_response *r);

/*
 * Sends the request. Returns 0 if a complete response came, whatever its status, or -1
 * and why none did. Only the body of a 200 or a 206 is delivered.
 */
int http_send(struct http *h, struct http_request *q, struct http_response *r,
	      struct err *e);

/* Where a URL leads, without its path. */
struct http_origin {
	char text[512]; /* "https://host:port" */
	char host[256];
	bool is_secure;
};

/* Reads the origin of a URL of http or https. Returns 0, or -1 and why not: a user or a
 * password in it is an error, too. */
int http_origin(struct http_origin *o, const char *url, struct err *e);

/* Appends `query` ("a=b&c=d") to that of the URL, which loses its fragment. */
void http_add_query(struct buf *url, const char *query);

/* Appends the text with all but letters, digits and -._~ escaped. */
void http_escape(struct buf *out, const char *text);

#endif
