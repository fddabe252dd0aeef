/*
 * http: send requests with libcurl.
 *
 *     struct http_request q = {.url = "https://example.org/x"};
 *     http_into(&q, &body, 4096);
 *     if (http_send(client, &q, &response, &why) == 0 && response.status == 200) ...
 *
 * Servers are untrusted. The sizes of headers and bodies are bounded, and a transfer
 * below a minimum rate fails. The number of redirects is limited, and so are their
 * targets:
 *
 *   - After a redirect to another origin, a request has no authorization, even if another
 *     redirect leads back. WWW-Authenticate of such a response is ignored.
 *   - A redirect from https to http fails.
 *   - A redirect from elsewhere to an address that only this machine can reach fails. The
 *     address of the connection decides, so a changing DNS answer does not help an
 *     attacker.
 *
 * Redirects are followed only for GET and HEAD, because the body of another request would
 * go to a server that the user did not name.
 *
 * Proxies are set by curl(1)'s environment variables. CA certificates are set by
 * CURL_CA_BUNDLE, NIX_SSL_CERT_FILE, SSL_CERT_FILE and SSL_CERT_DIR. No message contains
 * a path, a query or an authorization.
 *
 * Specification: RFC 9110.
 */
#ifndef DT_HTTP_H
#define DT_HTTP_H

#include "base/buf.h"
#include "registry/field.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* A client, which keeps connections open. Only one thread may use it at a time. */
struct http;

/*
 * Makes a client. Without `verify`, all certificates are accepted. A transfer fails if it
 * is slower than 1 KiB per second for `timeout` seconds.
 */
struct http *http_new(bool verify, unsigned timeout);

/* Does nothing if `h` is NULL. */
void http_release(struct http *h);

/* Whether the environment names a proxy. */
bool http_has_proxy(void);

/* The place of a server, relative to this machine. */
enum http_place {
	HTTP_UNKNOWN,
	HTTP_FAR,        /* any other address */
	HTTP_ON_MACHINE, /* a loopback address */
	HTTP_ON_LINK,    /* a link-local address, or a service of the cloud's host */
};

/*
 * The place of the host part of a URL ("127.1", "[::1]"). A name is HTTP_FAR, except for
 * localhost, because its address is unknown before it is resolved.
 */
enum http_place http_place_of(const char *host);

/* The body of a request: `size` bytes of `data`, or of the file `fd` from `at`. */
struct http_body {
	const void *data; /* NULL: the file */
	int fd;
	off_t at;
	uint64_t size;
	const char *type; /* media type */
	/* Called when bytes have been sent; or NULL. */
	void (*went)(void *arg, size_t bytes);
	void *arg;
};

/*
 * A request, and a callback for the body. `have` is the number of bytes of the body that
 * the caller has already. If it is not 0, only the rest is requested. So a failed request
 * can be sent again and continues.
 */
struct http_request {
	const char *url;
	enum http_place from; /* place of the server that named the URL; HTTP_UNKNOWN: the
				 user named it, any place is allowed */
	const char *accept;   /* media types, or NULL */
	const char *authorization;    /* the header's value, or NULL */
	const char *form;             /* the body of a POST, or NULL for GET */
	const char *method;           /* if it is neither; NULL: GET or POST */
	const struct http_body *body; /* of this method; NULL: it is empty */
	const char *content_range;    /* "0-99", the place of `body`; or NULL */
	uint64_t have, limit;         /* bytes; `limit` is for the complete body */
	/*
	 * Discards the bytes, because the server starts again. Returns 0, or -1 and a
	 * reason.
	 */
	int (*restart)(void *arg, struct err *e);
	/*
	 * Receives the next bytes. Returns 0, or -1 and a reason to stop. NULL: the body
	 * is ignored.
	 */
	int (*take)(void *arg, const void *data, size_t len, struct err *e);
	void *arg;
};

/* Makes the body go to `b`, at most `limit` bytes. */
void http_into(struct http_request *q, struct buf *b, size_t limit);

struct http_response {
	long status;           /* of the last response; 0: there was none */
	bool has_answered;     /* the server of the URL sent a response */
	bool is_elsewhere;     /* a redirect led to an origin other than the URL's */
	enum http_place place; /* of the server that responded */
	char type[FIELD_TYPE]; /* media type, lower case, without parameters; or "" */
	struct buf offers;     /* the values of WWW-Authenticate, one per line */
	struct buf location;   /* Location as an absolute URL, or empty */
	bool has_length;       /* the response has a Content-Length */
	uint64_t length;       /* its value */
	bool has_range;        /* it has the Range of an upload */
	uint64_t kept;         /* bytes of the upload that it has, or 0 */
	uint64_t chunk_min;    /* OCI-Chunk-Min-Length in bytes, or 0 */
	bool has_subject;      /* it has the header OCI-Subject */
	uint64_t wait;         /* Retry-After in seconds, or 0 */
	bool is_cut;           /* the transfer failed, and may succeed later */
};

void http_response_release(struct http_response *r);

/*
 * Sends the request. A control character in the value of a header is an error. Returns 0
 * if a complete response arrived, whatever its status, or -1
 * and a reason. The body is delivered only if the status is 200 or 206.
 */
int http_send(struct http *h, struct http_request *q, struct http_response *r,
	      struct err *e);

/* The origin of a URL: scheme, host and port. */
struct http_origin {
	char text[512]; /* "https://host:port" */
	char host[256];
	bool is_secure;
};

/*
 * Parses the origin of a URL of http or https. Returns 0, or -1 and a reason. A URL with
 * a user or a password is an error.
 */
int http_origin(struct http_origin *o, const char *url, struct err *e);

/* Appends `query` ("a=b&c=d") to the query of the URL. Removes the URL's fragment. */
void http_add_query(struct buf *url, const char *query);

/*
 * Replaces `out` by the absolute form of the reference `target` in a response to the URL
 * `base` (RFC 3986, 5.2). Returns 0, or -1 if `target` is not a URL.
 */
int http_resolve(const char *base, const char *target, struct buf *out);

/* Appends the text, percent-encoded except for letters, digits and -._~. */
void http_escape(struct buf *out, const char *text);

#endif
