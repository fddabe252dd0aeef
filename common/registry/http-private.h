/*
 * http-private: an exchange of a request and its response, for the parts of http.
 */
#ifndef DT_HTTP_PRIVATE_H
#define DT_HTTP_PRIVATE_H

#include "registry/http.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct curl_slist;
struct err;

enum {
	HTTP_ERROR_MAX = 1 << 20, /* bytes of a discarded body */
	HTTP_PIECE = 256 << 10,   /* bytes that are received at once */
};

struct http {
	CURL *curl;
	unsigned timeout;
	bool verify;
	char *held; /* HTTP_PIECE bytes, or NULL */
	size_t n_held;
};

/* A request and its response. A redirect starts another one. */
struct exchange {
	struct http *h;
	struct http_request *q;
	struct http_response *r;
	struct err *e;
	struct http_origin to;
	enum http_place from;  /* place of the server that named the URL */
	bool is_proxied;       /* the proxy resolves the host's name */
	uint64_t sent;         /* bytes of the request's body that libcurl has read */
	size_t head, unwanted; /* in bytes */
	bool begun;
	bool has_reason; /* *e has the reason of the failure */
};

/* An environment variable, or NULL if it is unset or empty. */
const char *http_variable(const char *name);

/* Returns the headers of the request. The caller frees the list. */
struct curl_slist *http_request_headers(const struct http_request *q,
					const char *authorization);

/* Sets the options of libcurl for the request. `why` has CURL_ERROR_SIZE bytes. */
void http_request_set(struct exchange *x, const char *url, struct curl_slist *headers,
		      char *why);

/* Callbacks of libcurl for the headers and the body of the response. */
size_t http_response_header(char *line, size_t size, size_t n, void *exchange);
size_t http_response_body(char *data, size_t size, size_t n, void *exchange);

/*
 * Passes on the bytes of the body that http_response_body() holds back. libcurl splits
 * the bytes it receives into small pieces; together they take less time. Returns 0, or -1
 * and a reason, with x->has_reason set.
 */
int http_response_pass(struct exchange *x);

/* Callback of libcurl when it has no more bytes at hand. */
int http_response_idle(void *exchange, curl_off_t total, curl_off_t now,
		       curl_off_t up_total, curl_off_t up_now);

/* Sets the fields of the response that its headers determine. */
void http_response_head(const struct exchange *x, const char *url);

/*
 * Checks before the first byte of the body that the response continues the bytes that the
 * caller has. Returns 0, or -1 and a reason.
 */
int http_response_begin(struct exchange *x);

/*
 * Makes the caller discard its bytes, so that the next attempt starts at the beginning.
 * Returns 0, or -1 and a reason.
 */
int http_response_restart(struct exchange *x);

#endif
