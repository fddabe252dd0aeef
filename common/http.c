#include "http.h"

#include "err.h"
#include "mem.h"
#include "num.h"

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
	ERROR_MAX = 1 << 20,  /* of a body that nobody wants */
	REDIRECTS_MAX = 10,
	PIECE = 256 << 10,
	RATE_MIN = 64, /* bytes a second, below which a transfer stands still */
};

struct http {
	CURL *curl;
	unsigned timeout;
	bool verify;
};

/* One exchange, redirects apart. */
struct exchange {
	struct http_request *q;
	struct http_response *r;
	struct err *e;
	struct buf location;
	size_t head, unwanted; /* bytes */
	bool begun, refused;   /* `refused`: *e says why */
};

static void start_library(void)
{
	/* Headers hold credentials. */
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, mem_wiping_free,
				 mem_wiping_realloc, strdup, calloc) != CURLE_OK)
		die("libcurl does not work here");
}

/* The environment's file of authorities, which libcurl leaves to its callers. */
static void set_authorities(CURL *curl)
{
	static const char *const files[] = {"CURL_CA_BUNDLE", "NIX_SSL_CERT_FILE",
					    "SSL_CERT_FILE"};
	const char *dir = getenv("SSL_CERT_DIR");

	if (dir != NULL && *dir != '\0')
		curl_easy_setopt(curl, CURLOPT_CAPATH, dir);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		const char *file = getenv(files[i]);
		if (file != NULL && *file != '\0') {
			curl_easy_setopt(curl, CURLOPT_CAINFO, file);
			return;
		}
	}
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
	*r = (struct http_response){0};
}

/* --- what comes in --- */

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

/* The value of the header line if it is of this name: without blanks around it. */
static bool header_is(const char *line, size_t len, const char *name, const char **value,
		      size_t *value_len)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return false;
	for (n++; n < len && (line[n] == ' ' || line[n] == '\t'); n++)
		continue;
	while (len > n && isspace((unsigned char)line[len - 1]))
		len--;
	*value = line + n;
	*value_len = len - n;
	return true;
}

static void set_type(struct http_response *r, const char *value, size_t len)
{
	size_t n = 0;

	while (n < len && n < sizeof r->type - 1 && value[n] != ';' && value[n] != ' ') {
		r->type[n] = (char)tolower((unsigned char)value[n]);
		n++;
	}
	r->type[n] = '\0';
}

/* "bytes FIRST-LAST/ALL" (RFC 9110, 14.4). */
static void set_range(struct http_response *r, const char *value, size_t len)
{
	uint64_t first;

	if (len < 6 || strncasecmp(value, "bytes ", 6) != 0)
		return;
	const char *dash = memchr(value, '-', len);
	if (dash != NULL &&
	    num_parse(value + 6, (size_t)(dash - value) - 6, INT64_MAX, &first) == 0)
		r->first = (int64_t)first;
}

/* "HTTP/1.1 200 OK" */
static long status_of(const char *line, size_t len)
{
	const char *blank = memchr(line, ' ', len);
	uint64_t status;

	if (blank == NULL || line + len - blank < 4 ||
	    num_parse(blank + 1, 3, 999, &status) < 0)
		return 0;
	return (long)status;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	struct http_response *r = x->r;
	size_t len = size * n;
	const char *value;

	x->head += len;
	if (x->head > HEAD_MAX) {
		x->refused = true;
		err_set(x->e, "more than %d bytes of headers", HEAD_MAX);
		return 0;
	}
	if (len > 5 && strncmp(line, "HTTP/", 5) == 0) {
		http_response_release(r); /* what came before was preliminary */
		r->first = -1;
		r->status = status_of(line, len);
		buf_clear(&x->location);
	} else if (header_is(line, len, "content-type", &value, &len)) {
		set_type(r, value, len);
	} else if (header_is(line, len, "www-authenticate", &value, &len)) {
		buf_add(&r->offers, value, len);
		buf_addch(&r->offers, '\n');
	} else if (header_is(line, len, "content-range", &value, &len)) {
		set_range(r, value, len);
	} else if (header_is(line, len, "retry-after", &value, &len)) {
		if (num_parse(value, len, UINT32_MAX, &r->wait) < 0)
			r->wait = 0; /* a date: as good as none */
	} else if (header_is(line, len, "location", &value, &len)) {
		buf_clear(&x->location);
		buf_add(&x->location, value, len);
	}
	return size * n;
}

/* Has the caller forget what it has, so that the next try begins anew. */
static int start_over(struct exchange *x)
{
	x->q->have = 0;
	return x->q->restart(x->q->arg, x->e);
}

/* Whether what comes is what follows the bytes that the caller has. */
static int begin(struct exchange *x)
{
	if (x->begun)
		return 0;
	x->begun = true;
	if (x->r->status != 206)
		return start_over(x);
	if (x->r->first >= 0 && (uint64_t)x->r->first == x->q->have)
		return 0;
	x->r->is_cut = true;
	if (start_over(x) == 0)
		err_set(x->e, "the server sends another part than was asked for");
	return -1;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t len = size * n;

	if (x->r->status != 200 && x->r->status != 206) {
		x->unwanted += len;
		return x->unwanted <= ERROR_MAX ? len : 0;
	}
	x->refused = true;
	if (begin(x) < 0)
		return 0;
	if (len > x->q->limit - x->q->have) {
		err_set(x->e, "more than %" PRIu64 " bytes", x->q->limit);
		return 0;
	}
	if (x->q->take(x->q->arg, data, len, x->e) < 0)
		return 0;
	x->q->have += len;
	x->refused = false;
	return len;
}

/* --- what goes out --- */

/* "NAME: VALUE" in front of the list; the value may be secret, and is wiped. */
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

static void set_request(struct http *h, struct exchange *x, const char *url,
			struct curl_slist *headers, char *why)
{
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
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
	if (q->form != NULL)
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->form);
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

/* One request and its response. */
static int exchange(struct http *h, struct exchange *x, const char *url,
		    const char *authorization)
{
	struct curl_slist *headers = NULL;
	char why[CURL_ERROR_SIZE] = "";

	if (x->q->accept != NULL)
		headers = add_header(headers, "Accept", x->q->accept);
	if (authorization != NULL)
		headers = add_header(headers, "Authorization", authorization);
	x->head = x->unwanted = 0;
	x->begun = x->refused = false;
	set_request(h, x, url, headers, why);
	CURLcode code = curl_easy_perform(h->curl);
	curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	if (x->refused)
		return -1;
	if (code == CURLE_OK && (x->r->status == 200 || x->r->status == 206))
		return begin(x); /* nothing came: that is all there is */
	if (code == CURLE_OK || x->unwanted > ERROR_MAX)
		return 0;
	x->r->is_cut = may_pass(code);
	return err_set(x->e, "%s", *why != '\0' ? why : curl_easy_strerror(code));
}

/* Replaces `url` by where the response leads. */
static int redirect(struct http *h, struct exchange *x, struct buf *url)
{
	struct http_origin from, to;

	if (http_origin(&from, url->data, x->e) < 0)
		return -1;
	if (x->location.len == 0 || http_join(url, x->location.data) < 0)
		return err_set(x->e, "a URL that cannot be read, as redirection");
	if (http_origin(&to, url->data, x->e) < 0)
		return -1;
	if (h->verify && from.is_secure && !to.is_secure)
		return err_set(x->e, "redirected from https to http");
	if (!http_may_lead(from.host, to.host))
		return err_set(x->e, "redirected to this machine, to %s", to.text);
	return 0;
}

static bool is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 ||
	       status == 308;
}

/* TLS writes to connections that may be gone. */
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

int http_send(struct http *h, struct http_request *q, struct http_response *r,
	      struct err *e)
{
	struct exchange x = {.q = q, .r = r, .e = e};
	struct buf url = {0};
	struct http_origin first, now;
	const char *authorization = q->authorization;
	sigset_t mask;

	http_response_release(r);
	block_sigpipe(&mask);
	int result = http_origin(&first, q->url, e);
	buf_addstr(&url, q->url);
	for (int n = 0; result == 0; n++) {
		result = exchange(h, &x, url.data, authorization);
		if (result < 0 || !is_redirect(r->status) || q->form != NULL)
			break;
		result = n < REDIRECTS_MAX ? redirect(h, &x, &url)
					   : err_set(e, "redirected without end");
		if (result == 0 && http_origin(&now, url.data, e) == 0 &&
		    strcmp(now.text, first.text) != 0)
			authorization = NULL; /* for good */
	}
	if (result == 0 && r->status == 416 && q->have > 0) {
		r->is_cut = true;
		result = start_over(&x);
		if (result == 0)
			result = err_set(e, "the server does not have what follows");
	}
	buf_release(&x.location);
	buf_release(&url);
	restore_sigpipe(&mask);
	return result;
}
