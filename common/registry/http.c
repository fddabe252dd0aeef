#include "registry/http.h"

#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"

#include <ctype.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	HEAD_MAX = 256 << 10, /* bytes of all headers of a response */
	ERROR_MAX = 1 << 20,  /* bytes of a discarded body */
	REDIRECTS_MAX = 10,
	PIECE = 256 << 10,
	SENT_PIECE = 256 << 10, /* bytes that are read at once to be sent */
	OFFERS_MAX = 16,        /* headers WWW-Authenticate that are read */
	RATE_MIN = 1024,        /* bytes per second; a slower transfer fails */
};

struct http {
	CURL *curl;
	unsigned timeout;
	bool verify;
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
	bool has_reason; /* of the failure: it is in *e */
};

static void start_library(void)
{
	/* Headers contain credentials, so freed memory is overwritten. */
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, mem_wiping_free,
				 mem_wiping_realloc, strdup, calloc) != CURLE_OK)
		die("libcurl does not work here");
}

/* An environment variable, or NULL if it is unset or empty. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

/* Sets the CA certificates from the environment, which libcurl does not do itself. */
static void set_authorities(CURL *curl)
{
	static const char *const files[] = {"CURL_CA_BUNDLE", "NIX_SSL_CERT_FILE",
					    "SSL_CERT_FILE"};
	const char *file = NULL;

	for (size_t i = 0; i < sizeof files / sizeof *files && file == NULL; i++)
		file = variable(files[i]);
	if (file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, file);
	if (variable("SSL_CERT_DIR") != NULL)
		curl_easy_setopt(curl, CURLOPT_CAPATH, variable("SSL_CERT_DIR"));
}

struct http *http_new(bool verify, unsigned timeout)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http *h = mem_zero(1, sizeof *h);

	pthread_once(&once, start_library);
	h->curl = curl_easy_init();
	if (h->curl == NULL)
		die("out of memory");
	h->timeout = timeout;
	h->verify = verify;
	return h;
}

void http_release(struct http *h)
{
	if (h == NULL)
		return;
	curl_easy_cleanup(h->curl);
	free(h);
}

void http_response_release(struct http_response *r)
{
	buf_release(&r->offers);
	buf_release(&r->location);
	*r = (struct http_response){0};
}

/* --- receiving --- */

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

/* Sets the media type from a Content-Type, without its parameters. */
static void set_type(struct http_response *r, const char *value)
{
	size_t n = strcspn(value, "; \t");

	n = n < sizeof r->type ? n : sizeof r->type - 1;
	for (size_t i = 0; i < n; i++)
		r->type[i] = (char)tolower((unsigned char)value[i]);
	r->type[n] = '\0';
}

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

/* Reads a header that is a number. Returns whether it is one. */
static bool read_number(const char *value, uint64_t *out)
{
	return value != NULL && num_parse(value, strlen(value), INT64_MAX, out) == 0;
}

/* Range in a response to an upload: "0-LAST", also with "bytes=" before it. */
static void read_range(struct http_response *r, const char *value)
{
	uint64_t last;

	if (value != NULL && strncmp(value, "bytes=", 6) == 0)
		value += 6;
	r->has_range = value != NULL && strncmp(value, "0-", 2) == 0 &&
		       read_number(value + 2, &last);
	r->kept = r->has_range && last > 0 ? last + 1 : 0;
}

/* Sets the fields of the response that only a registry's headers determine. */
static void read_upload_head(const struct exchange *x, const char *url)
{
	struct http_response *r = x->r;
	const char *target = header(x, "Location", 0);

	if (target != NULL)
		(void)http_resolve(url, target, &r->location);
	r->has_length = read_number(header(x, "Content-Length", 0), &r->length);
	read_range(r, header(x, "Range", 0));
	if (!read_number(header(x, "OCI-Chunk-Min-Length", 0), &r->chunk_min))
		r->chunk_min = 0;
	r->has_subject = header(x, "OCI-Subject", 0) != NULL;
}

/* Sets the fields of the response that its headers determine. */
static void read_head(const struct exchange *x, const char *url)
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
		set_type(r, type);
	read_upload_head(x, url);
	if (r->is_elsewhere)
		return;
	for (size_t i = 0; i < OFFERS_MAX; i++)
		if ((offer = header(x, "WWW-Authenticate", i)) != NULL)
			buf_addf(&r->offers, "%s\n", offer);
}

/* libcurl stores the headers. This function limits their size. */
static size_t on_header(char *line, size_t size, size_t n, void *arg)
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

/*
 * Whether Content-Range, "bytes FIRST-LAST/ALL" (RFC 9110, 14.4), begins at this
 * position.
 */
static bool part_begins_at(const struct exchange *x, uint64_t at)
{
	const char *value = header(x, "Content-Range", 0);
	uint64_t first;

	if (value == NULL || strncasecmp(value, "bytes ", 6) != 0)
		return false;
	return num_parse(value + 6, strcspn(value + 6, "-"), INT64_MAX, &first) == 0 &&
	       first == at;
}

/*
 * Makes the caller discard its bytes, so that the next attempt starts at the beginning.
 */
static int start_over(struct exchange *x)
{
	x->q->have = 0;
	return x->q->restart(x->q->arg, x->e);
}

/* Checks that the response continues the bytes that the caller has. */
static int begin(struct exchange *x)
{
	if (x->begun || x->q->take == NULL)
		return 0;
	x->begun = true;
	if (status(x) != 206)
		return start_over(x);
	if (part_begins_at(x, x->q->have))
		return 0;
	x->r->is_cut = true;
	if (start_over(x) == 0)
		err_set(x->e, "the server sent another part than was requested");
	return -1;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t len = size * n;

	if ((status(x) != 200 && status(x) != 206) || x->q->take == NULL) {
		x->unwanted += len;
		return x->unwanted <= ERROR_MAX ? len : 0;
	}
	x->has_reason = true;
	if (begin(x) < 0)
		return 0;
	if (len > x->q->limit - x->q->have) {
		err_set(x->e, "more than %" PRIu64 " bytes", x->q->limit);
		return 0;
	}
	if (x->q->take(x->q->arg, data, len, x->e) < 0)
		return 0;
	x->q->have += len;
	x->has_reason = false;
	return len;
}

/* --- addresses --- */

/* Whether a server at `from` may redirect to a server at `to`. */
static bool may_lead(enum http_place from, enum http_place to)
{
	return from == HTTP_UNKNOWN || to == HTTP_FAR || to == from;
}

static int refuse_place(struct exchange *x)
{
	x->has_reason = true;
	return err_set(x->e, "%s is a local address; a remote server may not refer to it",
		       x->to.text);
}

/* libcurl calls it before each request, with the address of the connection. */
static int on_connected(void *arg, char *address, char *own, int port, int own_port)
{
	struct exchange *x = arg;

	(void)own, (void)port, (void)own_port;
	if (x->r->place == HTTP_FAR && !x->is_proxied)
		x->r->place = http_place_of(address);
	if (may_lead(x->from, x->r->place))
		return CURL_PREREQFUNC_OK;
	refuse_place(x);
	return CURL_PREREQFUNC_ABORT;
}

/*
 * Whether libcurl may use a proxy. The user may exempt some hosts from it; an untrusted
 * server has no influence on the addresses of these.
 */
static bool is_proxied(const struct http_origin *o)
{
	if (variable("all_proxy") != NULL || variable("ALL_PROXY") != NULL)
		return true;
	if (!o->is_secure)
		return variable("http_proxy") != NULL;
	return variable("https_proxy") != NULL || variable("HTTPS_PROXY") != NULL;
}

/* --- sending --- */

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

static void set_request(struct exchange *x, const char *url, struct curl_slist *headers,
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
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)PIECE);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(c, CURLOPT_PREREQDATA, x);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
	if (q->form != NULL)
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->form);
	if (q->method != NULL)
		set_method(x);
	if (q->have > 0) {
		snprintf(range, sizeof range, "%" PRIu64 "-", q->have);
		curl_easy_setopt(c, CURLOPT_RANGE, range);
	}
}

static bool may_pass(CURLcode code)
{
	switch (code) {
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return true;
	default:
		return false;
	}
}

/*
 * Whether the server responded with an error before it had read the complete body, and
 * then closed the connection.
 */
static bool was_answered_early(const struct exchange *x, CURLcode code)
{
	return code == CURLE_SEND_ERROR && x->q->body != NULL && x->r->status >= 400;
}

/*
 * Whether libcurl's message may be printed. A message with a proxy's URL may contain a
 * password.
 */
static bool may_be_told(const char *why)
{
	return *why != '\0' && strchr(why, '@') == NULL && strstr(why, "://") == NULL;
}

/* Sends a request and receives its response. */
static int exchange(struct exchange *x, const char *url, const char *authorization)
{
	CURL *c = x->h->curl;
	struct curl_slist *headers = NULL;
	char why[CURL_ERROR_SIZE] = "";

	if (x->q->accept != NULL)
		headers = add_header(headers, "Accept", x->q->accept);
	if (authorization != NULL)
		headers = add_header(headers, "Authorization", authorization);
	headers = add_body_headers(headers, x->q);
	x->head = x->unwanted = 0;
	x->sent = 0;
	x->begun = x->has_reason = false;
	set_request(x, url, headers, why);
	CURLcode code = curl_easy_perform(c);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	read_head(x, url);
	if (x->has_reason)
		return -1;
	if (code == CURLE_OK && (x->r->status == 200 || x->r->status == 206))
		return begin(x); /* the body is empty */
	if (code == CURLE_OK || x->unwanted > ERROR_MAX || was_answered_early(x, code))
		return 0;
	x->r->is_cut = may_pass(code);
	return err_set(x->e, "%s", may_be_told(why) ? why : curl_easy_strerror(code));
}

/* Replaces `url` by the target of a redirect, and x->to by its origin. */
static int redirect(struct exchange *x, struct buf *url)
{
	bool was_secure = x->to.is_secure;
	const char *target = NULL;

	curl_easy_getinfo(x->h->curl, CURLINFO_REDIRECT_URL, &target);
	if (target == NULL)
		return err_set(x->e, "a redirect without a target");
	buf_clear(url);
	buf_addstr(url, target);
	if (http_origin(&x->to, url->data, x->e) < 0)
		return -1;
	if (x->h->verify && was_secure && !x->to.is_secure)
		return err_set(x->e, "redirected from https to http");
	x->from = x->r->place;
	return 0;
}

static bool is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 ||
	       status == 308;
}

static bool may_follow(const struct http_request *q)
{
	return q->form == NULL && (q->method == NULL || strcmp(q->method, "HEAD") == 0);
}

/* The TLS library may write to a closed connection. */
static void block_sigpipe(sigset_t *old)
{
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, old);
}

static void restore_sigpipe(const sigset_t *old)
{
	const struct timespec now = {0};
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	while (!sigismember(old, SIGPIPE) && sigtimedwait(&pipe, NULL, &now) > 0)
		continue;
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

/* Sends the request and follows redirects until the last response. */
static int follow(struct exchange *x, struct buf *url)
{
	const char *authorization = x->q->authorization;
	struct http_origin first = x->to;
	struct http_response before = {0};

	for (int n = 0;; n++) {
		http_response_release(x->r);
		*x->r = before;
		x->r->place = http_place_of(x->to.host);
		x->is_proxied = is_proxied(&x->to);
		if (!may_lead(x->from, x->r->place))
			return refuse_place(x);
		if (exchange(x, url->data, authorization) < 0)
			return -1;
		if (!is_redirect(x->r->status) || !may_follow(x->q))
			return 0;
		if (n == REDIRECTS_MAX)
			return err_set(x->e, "too many redirects");
		if (redirect(x, url) < 0)
			return -1;
		before.has_answered = true;
		if (strcmp(x->to.text, first.text) != 0) {
			before.is_elsewhere = true; /* even if another one leads back */
			authorization = NULL;
		}
	}
}

int http_send(struct http *h, struct http_request *q, struct http_response *r,
	      struct err *e)
{
	struct exchange x = {.h = h, .q = q, .r = r, .e = e, .from = q->from};
	struct buf url = {0};
	sigset_t mask;

	http_response_release(r);
	if (http_origin(&x.to, q->url, e) < 0)
		return -1;
	block_sigpipe(&mask);
	buf_addstr(&url, q->url);
	int result = follow(&x, &url);
	if (result == 0 && r->status == 416 && q->have > 0) {
		r->is_cut = true;
		result = start_over(&x);
		if (result == 0)
			result =
			    err_set(e, "the server does not have the rest of the data");
	}
	buf_release(&url);
	restore_sigpipe(&mask);
	return result;
}
