#include "registry/http.h"

#include "base/err.h"
#include "base/mem.h"
#include "registry/http-private.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { REDIRECTS_MAX = 10 };

static void start_library(void)
{
	/* Headers contain credentials, so freed memory is overwritten. */
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, mem_wiping_free,
				 mem_wiping_realloc, strdup, calloc) != CURLE_OK)
		die("libcurl does not work here");
}

const char *http_variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
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
	mem_wiping_free(h->held);
	free(h);
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

bool http_has_proxy(void)
{
	return http_variable("all_proxy") != NULL || http_variable("ALL_PROXY") != NULL ||
	       http_variable("http_proxy") != NULL ||
	       http_variable("https_proxy") != NULL ||
	       http_variable("HTTPS_PROXY") != NULL;
}

/*
 * Whether libcurl may use a proxy. The user may exempt some hosts from it; an untrusted
 * server has no influence on the addresses of these.
 */
static bool is_proxied(const struct http_origin *o)
{
	if (http_variable("all_proxy") != NULL || http_variable("ALL_PROXY") != NULL)
		return true;
	if (!o->is_secure)
		return http_variable("http_proxy") != NULL;
	return http_variable("https_proxy") != NULL ||
	       http_variable("HTTPS_PROXY") != NULL;
}

/* --- exchanges --- */

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
	struct curl_slist *headers = http_request_headers(x->q, authorization);
	char why[CURL_ERROR_SIZE] = "";

	x->head = x->unwanted = x->h->n_held = 0;
	x->sent = 0;
	x->begun = x->has_reason = false;
	http_request_set(x, url, headers, why);
	curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(c, CURLOPT_PREREQDATA, x);
	CURLcode code = curl_easy_perform(c);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	http_response_head(x, url);
	if (x->has_reason || http_response_pass(x) < 0)
		return -1;
	if (code == CURLE_OK && (x->r->status == 200 || x->r->status == 206))
		return http_response_begin(x); /* the body is empty */
	if (code == CURLE_OK || x->unwanted > HTTP_ERROR_MAX ||
	    was_answered_early(x, code))
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

/* Whether a value of a header is on one line. libcurl sends it as it is. */
static bool is_line(const char *value)
{
	for (; value != NULL && *value != '\0'; value++)
		if ((unsigned char)*value < ' ' || *value == 0x7f)
			return false;
	return true;
}

/* The media type of a body comes from an untrusted archive. */
static int check_headers(const struct http_request *q, struct err *e)
{
	if (is_line(q->accept) && is_line(q->authorization) && is_line(q->method) &&
	    is_line(q->content_range) && (q->body == NULL || is_line(q->body->type)))
		return 0;
	return err_set(e, "a request would have a control character in a header");
}

int http_send(struct http *h, struct http_request *q, struct http_response *r,
	      struct err *e)
{
	struct exchange x = {.h = h, .q = q, .r = r, .e = e, .from = q->from};
	struct buf url = {0};
	sigset_t mask;

	http_response_release(r);
	if (check_headers(q, e) < 0 || http_origin(&x.to, q->url, e) < 0)
		return -1;
	block_sigpipe(&mask);
	buf_addstr(&url, q->url);
	int result = follow(&x, &url);
	if (result == 0 && r->status == 416 && q->have > 0) {
		r->is_cut = true;
		result = http_response_restart(&x);
		if (result == 0)
			result =
			    err_set(e, "the server does not have the rest of the data");
	}
	buf_release(&url);
	restore_sigpipe(&mask);
	return result;
}
