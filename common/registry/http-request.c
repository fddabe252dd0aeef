#include "registry/http.h"

#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "registry/http-private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	SENT_PIECE = 256 << 10, /* bytes that are read at once to be sent */
	RATE_MIN = 1024,        /* bytes per second; a slower transfer fails */
};

/* --- the body --- */

/* libcurl asks for the next bytes of the request's body. */
static size_t on_send(char *room, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	const struct http_body *b = x->q->body;
	uint64_t left = b->size - x->sent;
	size_t len = size * n < left ? size * n : (size_t)left;

	if (b->data != NULL)
		memcpy(room, (const char *)b->data + x->sent, len);
	else if (io_pread(b->fd, room, len, b->at + (off_t)x->sent) != (ssize_t)len) {
		x->has_reason = true;
		err_set(x->e, "a temporary file cannot be read");
		return CURL_READFUNC_ABORT;
	}
	x->sent += len;
	if (b->went != NULL && len > 0)
		b->went(b->arg, len);
	return len;
}

/* libcurl sends the body again, for example after a connection was closed. */
static int on_rewind(void *arg, curl_off_t offset, int origin)
{
	struct exchange *x = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > x->q->body->size)
		return CURL_SEEKFUNC_FAIL;
	x->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* --- headers --- */

/*
 * Adds "NAME: VALUE" to the list. The value may be secret; the temporary copy is
 * overwritten.
 */
static struct curl_slist *add_header(struct curl_slist *list, const char *name,
				     const char *value)
{
	size_t size = strlen(name) + strlen(value) + 3;
	char *line = mem_zero(size, 1);

	snprintf(line, size, "%s: %s", name, value);
	struct curl_slist *longer = curl_slist_append(list, line);
	mem_wiping_free(line);
	if (longer == NULL)
		die("out of memory");
	return longer;
}

/* The headers that describe the body of a request with a method. */
static struct curl_slist *add_body_headers(struct curl_slist *list,
					   const struct http_request *q)
{
	if (q->method == NULL)
		return list;
	if (q->body != NULL)
		list = add_header(list, "Content-Type", q->body->type);
	else if (strcmp(q->method, "HEAD") != 0) /* instead of that of a form */
		list = add_header(list, "Content-Type", "application/octet-stream");
	if (q->content_range != NULL)
		list = add_header(list, "Content-Range", q->content_range);
	return list;
}

struct curl_slist *http_request_headers(const struct http_request *q,
					const char *authorization)
{
	struct curl_slist *list = NULL;

	if (q->accept != NULL)
		list = add_header(list, "Accept", q->accept);
	if (authorization != NULL)
		list = add_header(list, "Authorization", authorization);
	return add_body_headers(list, q);
}

/* --- options --- */

/* Sets the CA certificates from the environment, which libcurl does not do itself. */
static void set_authorities(CURL *curl)
{
	static const char *const files[] = {"CURL_CA_BUNDLE", "NIX_SSL_CERT_FILE",
					    "SSL_CERT_FILE"};
	const char *file = NULL;

	for (size_t i = 0; i < sizeof files / sizeof *files && file == NULL; i++)
		file = http_variable(files[i]);
	if (file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, file);
	if (http_variable("SSL_CERT_DIR") != NULL)
		curl_easy_setopt(curl, CURLOPT_CAPATH, http_variable("SSL_CERT_DIR"));
}

/* Sets the method of a request that is neither GET nor the POST of a form. */
static void set_method(struct exchange *x)
{
	CURL *c = x->h->curl;
	const struct http_request *q = x->q;

	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
	if (strcmp(q->method, "HEAD") == 0) {
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	} else if (q->body != NULL) {
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body->size);
		curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, (long)SENT_PIECE);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, on_send);
		curl_easy_setopt(c, CURLOPT_READDATA, x);
		curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_rewind);
		curl_easy_setopt(c, CURLOPT_SEEKDATA, x);
	} else if (strcmp(q->method, "POST") == 0 || strcmp(q->method, "PUT") == 0) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
	}
}

void http_request_set(struct exchange *x, const char *url, struct curl_slist *headers,
		      char *why)
{
	const struct http *h = x->h;
	CURL *c = h->curl;
	const struct http_request *q = x->q;
	char range[32];

	curl_easy_reset(c);
	set_authorities(c);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "dt/" DT_VERSION);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, (long)h->verify);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, h->verify ? 2L : 0L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)h->timeout);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)h->timeout);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)RATE_MIN);
	curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)HTTP_PIECE);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, http_response_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, http_response_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, http_response_idle);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	if (q->form != NULL)
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->form);
	if (q->method != NULL)
		set_method(x);
	if (q->have > 0) {
		snprintf(range, sizeof range, "%" PRIu64 "-", q->have);
		curl_easy_setopt(c, CURLOPT_RANGE, range);
	}
}
