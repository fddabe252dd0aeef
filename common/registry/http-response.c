#include "registry/http.h"

#include "base/err.h"
#include "base/mem.h"
#include "registry/field.h"
#include "registry/http-private.h"

#include <inttypes.h>
#include <string.h>

enum {
	HEAD_MAX = 256 << 10, /* bytes of all headers of a response */
	OFFERS_MAX = 16,      /* headers WWW-Authenticate that are read */
};

void http_response_release(struct http_response *r)
{
	buf_release(&r->offers);
	buf_release(&r->location);
	*r = (struct http_response){0};
}

/* --- headers --- */

/* The value of the response's header `i` of this name, or NULL. */
static const char *header(const struct exchange *x, const char *name, size_t i)
{
	struct curl_header *h;

	if (curl_easy_header(x->h->curl, name, i, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return NULL;
	return h->value;
}

/* The status of the current response, or 0. */
static long status(const struct exchange *x)
{
	long code = 0;

	curl_easy_getinfo(x->h->curl, CURLINFO_RESPONSE_CODE, &code);
	return code;
}

/* Sets the fields of the response that only a registry's headers determine. */
static void read_upload_head(const struct exchange *x, const char *url)
{
	struct http_response *r = x->r;
	const char *target = header(x, "Location", 0);

	if (target != NULL)
		(void)http_resolve(url, target, &r->location);
	r->has_length = field_number(header(x, "Content-Length", 0), &r->length);
	r->has_range = field_kept(header(x, "Range", 0), &r->kept);
	if (!field_number(header(x, "OCI-Chunk-Min-Length", 0), &r->chunk_min))
		r->chunk_min = 0;
	r->has_subject = header(x, "OCI-Subject", 0) != NULL;
}

void http_response_head(const struct exchange *x, const char *url)
{
	struct http_response *r = x->r;
	const char *type = NULL, *offer;
	curl_off_t wait = 0;

	r->status = status(x);
	r->has_answered = r->has_answered || r->status != 0;
	curl_easy_getinfo(x->h->curl, CURLINFO_RETRY_AFTER, &wait);
	curl_easy_getinfo(x->h->curl, CURLINFO_CONTENT_TYPE, &type);
	r->wait = wait > 0 ? (uint64_t)wait : 0;
	if (type != NULL)
		field_type(type, r->type);
	read_upload_head(x, url);
	if (r->is_elsewhere)
		return;
	for (size_t i = 0; i < OFFERS_MAX; i++)
		if ((offer = header(x, "WWW-Authenticate", i)) != NULL)
			buf_addf(&r->offers, "%s\n", offer);
}

/* libcurl stores the headers. This function limits their size. */
size_t http_response_header(char *line, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;

	(void)line;
	x->head += size * n;
	if (x->head <= HEAD_MAX)
		return size * n;
	x->has_reason = true;
	err_set(x->e, "more than %d bytes of headers", HEAD_MAX);
	return 0;
}

/* --- the body --- */

static int append(void *b, const void *data, size_t len, struct err *e)
{
	(void)e;
	buf_add(b, data, len);
	return 0;
}

static int clear(void *b, struct err *e)
{
	(void)e;
	buf_clear(b);
	return 0;
}

void http_into(struct http_request *q, struct buf *b, size_t limit)
{
	q->limit = limit;
	q->restart = clear;
	q->take = append;
	q->arg = b;
}

int http_response_restart(struct exchange *x)
{
	x->q->have = 0;
	return x->q->restart(x->q->arg, x->e);
}

int http_response_begin(struct exchange *x)
{
	uint64_t first;

	if (x->begun || x->q->take == NULL)
		return 0;
	x->begun = true;
	if (status(x) != 206)
		return http_response_restart(x);
	if (field_first(header(x, "Content-Range", 0), &first) && first == x->q->have)
		return 0;
	x->r->is_cut = true;
	if (http_response_restart(x) == 0)
		err_set(x->e, "the server did not send the part that was requested");
	return -1;
}

int http_response_pass(struct exchange *x)
{
	size_t len = x->h->n_held;

	if (len == 0)
		return 0;
	x->h->n_held = 0;
	if (x->q->take(x->q->arg, x->h->held, len, x->e) < 0) {
		x->has_reason = true;
		return -1;
	}
	x->q->have += len;
	return 0;
}

/* Holds bytes of the body back until there are HTTP_PIECE of them. */
static int hold(struct exchange *x, const char *data, size_t len)
{
	struct http *h = x->h;

	if (h->held == NULL)
		h->held = mem_zero(HTTP_PIECE, 1);
	while (len > 0) {
		size_t room = HTTP_PIECE - h->n_held, n = len < room ? len : room;
		memcpy(h->held + h->n_held, data, n);
		h->n_held += n;
		data += n;
		len -= n;
		if (h->n_held == HTTP_PIECE && http_response_pass(x) < 0)
			return -1;
	}
	return 0;
}

int http_response_idle(void *arg, curl_off_t total, curl_off_t now, curl_off_t up_total,
		       curl_off_t up_now)
{
	struct exchange *x = arg;

	(void)total, (void)now, (void)up_total, (void)up_now;
	return http_response_pass(x);
}

size_t http_response_body(char *data, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t len = size * n;

	if ((status(x) != 200 && status(x) != 206) || x->q->take == NULL) {
		x->unwanted += len;
		return x->unwanted <= HTTP_ERROR_MAX ? len : 0;
	}
	x->has_reason = true;
	if (http_response_begin(x) < 0)
		return 0;
	if (len > x->q->limit - x->q->have - x->h->n_held) {
		err_set(x->e, "more than %" PRIu64 " bytes", x->q->limit);
		return 0;
	}
	x->has_reason = false;
	return hold(x, data, len) < 0 ? 0 : len;
}
