#include "registry.h"

#include "err.h"
#include "login.h"
#include "mem.h"
#include "reference.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	WAIT_MS = 200,  /* before the second try; twice as long before each next one */
	WAIT_MAX = 60,  /* seconds of a Retry-After that are heeded */
	STEP = 1 << 20, /* bytes that a try must bring not to count */
};

/* A host to ask: a mirror, or the registry itself. */
struct endpoint {
	char *host, *path; /* of the repository, "library/hello" */
	struct login *login;
	bool is_plain;         /* HTTP without TLS */
	bool is_proven;        /* it has answered */
	enum http_place place; /* where it was when it answered */
};

struct registry {
	const struct registry_options *o;
	struct endpoint endpoint[2];
	size_t n;
	pthread_mutex_t lock; /* of what the endpoints were found to be, and of `idle` */
	struct http *idle[64];
	size_t n_idle;
};

static const char hub[] = "docker.io", hub_host[] = "registry-1.docker.io";

/* `path` is taken over; `known_as` is kept, and the host if it is NULL. */
static void add_endpoint(struct registry *r, char *host, const char *known_as, char *path)
{
	struct endpoint *p = &r->endpoint[r->n++];

	p->host = host;
	p->path = path;
	p->place = HTTP_FAR;
	p->login = login_new(host, known_as != NULL ? known_as : host, path);
}

/* HOST[:PORT][/PATH], in front of the repository's own path. */
static void add_mirror(struct registry *r, const char *mirror, const char *path)
{
	size_t n = strcspn(mirror, "/");
	struct buf longer = {0};

	if (mirror[n] == '/')
		buf_addf(&longer, "%s/", mirror + n + 1);
	buf_addstr(&longer, path);
	add_endpoint(r, mem_strndup(mirror, n), NULL, longer.data);
}

struct registry *registry_new(const struct reference *ref,
			      const struct registry_options *o)
{
	struct registry *r = mem_zero(1, sizeof *r);
	bool is_hub = strcmp(ref->host, hub) == 0;

	r->o = o;
	pthread_mutex_init(&r->lock, NULL);
	if (is_hub && o->mirror != NULL)
		add_mirror(r, o->mirror, ref->path);
	add_endpoint(r, mem_strdup(is_hub ? hub_host : ref->host), ref->host,
		     mem_strdup(ref->path));
	return r;
}

void registry_release(struct registry *r)
{
	for (size_t i = 0; i < r->n; i++) {
		login_release(r->endpoint[i].login);
		free(r->endpoint[i].host);
		free(r->endpoint[i].path);
	}
	for (size_t i = 0; i < r->n_idle; i++)
		http_release(r->idle[i]);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* A client that no other thread uses, with connections of earlier requests. */
static struct http *take_client(struct registry *r)
{
	struct http *h = NULL;

	pthread_mutex_lock(&r->lock);
	if (r->n_idle > 0)
		h = r->idle[--r->n_idle];
	pthread_mutex_unlock(&r->lock);
	return h != NULL ? h : http_new(r->o->verify, r->o->timeout);
}

static void return_client(struct registry *r, struct http *h)
{
	pthread_mutex_lock(&r->lock);
	if (r->n_idle < sizeof r->idle / sizeof *r->idle) {
		r->idle[r->n_idle++] = h;
		h = NULL;
	}
	pthread_mutex_unlock(&r->lock);
	http_release(h);
}

static void endpoint_url(const struct endpoint *p, struct buf *url)
{
	buf_clear(url);
	buf_addf(url, "http%s://%s/v2/", p->is_plain ? "" : "s", p->host);
}

/* --- requests --- */

static int bad_status(const char *what, const struct http_response *a, struct err *e)
{
	const char *text = a->status == 401   ? ", not authorized"
			   : a->status == 403 ? ", denied"
			   : a->status == 404 ? ", not found"
			   : a->status == 429 ? ", too many requests"
					      : "";

	return err_set(e, "%s: status %ld%s%s", what, a->status, text,
		       a->is_elsewhere ? ", from where it redirects to" : "");
}

static void wait_for(unsigned attempt, uint64_t seconds)
{
	uint64_t ms = (uint64_t)WAIT_MS << attempt;

	if (seconds > 0)
		ms = 1000 * (seconds < WAIT_MAX ? seconds : WAIT_MAX);
	const struct timespec t = {.tv_sec = (time_t)(ms / 1000),
				   .tv_nsec = (long)(ms % 1000 * 1000000)};
	nanosleep(&t, NULL);
}

/* Whether the next try may bring what this one did not. */
static bool is_worth_it(const struct http_response *a)
{
	return a->is_cut || a->status == 429 || a->status >= 500;
}

/*
 * Learns from the answer where the endpoint is, and that it is there. Returns whether a
 * host that gave no answer to a request with TLS may know no TLS; another thread may have
 * found that out by now.
 */
static bool may_be_plain(struct registry *r, struct endpoint *p,
			 const struct http_request *q, const struct http_response *a)
{
	bool is_secure = strncmp(q->url, "https:", 6) == 0;

	pthread_mutex_lock(&r->lock);
	p->is_proven = p->is_proven || a->has_answered;
	if (a->has_answered && !a->is_elsewhere)
		p->place = a->place;
	bool may = is_secure && !a->has_answered && !r->o->verify &&
		   (p->is_plain || !p->is_proven);
	pthread_mutex_unlock(&r->lock);
	return may;
}

/*
 * Sends it once; p is NULL for a URL of no registry. Returns 0 if what was asked for
 * came, -1 and why not, or -2 if it should be sent without TLS.
 */
static int send_once(struct registry *r, struct endpoint *p, struct http *h,
		     struct http_request *q, struct http_response *a, const char *what,
		     struct err *e)
{
	int result = p != NULL ? login_send(p->login, h, q, a, e) : http_send(h, q, a, e);

	if (p != NULL && may_be_plain(r, p, q, a))
		return -2;
	if (result < 0) {
		const struct err why = *e;
		return err_set(e, "%s: %s", what, why.text);
	}
	return a->status == 200 || a->status == 206 ? 0 : bad_status(what, a, e);
}

/* Sends it until it is answered, or should not be sent any more. */
static int send_until(struct registry *r, struct endpoint *p, struct http_request *q,
		      char *type, const char *what, struct err *e)
{
	struct http *h = take_client(r);
	struct http_response a = {0};
	int result;

	for (unsigned attempt = 0;; attempt++) {
		uint64_t before = q->have;
		result = send_once(r, p, h, q, &a, what, e);
		if (result != -1 || !is_worth_it(&a))
			break;
		if (q->have >= before + STEP)
			attempt = 0;
		if (attempt == r->o->retries)
			break;
		wait_for(attempt, a.wait);
	}
	if (result == 0 && type != NULL)
		snprintf(type, sizeof a.type, "%s", *a.type != '\0' ? a.type : "none");
	http_response_release(&a);
	return_client(r, h);
	return result;
}

static int get_from(struct registry *r, struct endpoint *p, const char *kind,
		    const char *what, struct http_request *q, char *type, struct err *e)
{
	struct buf url = {0}, name = {0};
	int result;

	buf_addf(&name, "%s: %s/%s", p->host, kind, what);
	do {
		pthread_mutex_lock(&r->lock);
		endpoint_url(p, &url);
		pthread_mutex_unlock(&r->lock);
		buf_addf(&url, "%s/%s/%s", p->path, kind, what);
		q->url = url.data;
		result = send_until(r, p, q, type, name.data, e);
		pthread_mutex_lock(&r->lock);
		p->is_plain = p->is_plain || result == -2;
		pthread_mutex_unlock(&r->lock);
	} while (result == -2);
	q->url = NULL;
	buf_release(&url);
	buf_release(&name);
	return result;
}

int registry_get(struct registry *r, const char *kind, const char *what,
		 struct http_request *q, char *type, struct err *e)
{
	int result = -1;

	for (size_t i = 0; i < r->n && result < 0; i++)
		result = get_from(r, &r->endpoint[i], kind, what, q, type, e);
	return result;
}

int registry_get_url(struct registry *r, const char *url, struct http_request *q,
		     struct err *e)
{
	struct http_origin o;

	if (http_origin(&o, url, e) < 0)
		return -1;
	pthread_mutex_lock(&r->lock);
	q->from = r->endpoint[r->n - 1].place;
	pthread_mutex_unlock(&r->lock);
	q->url = url;
	int result = send_until(r, NULL, q, NULL, o.text, e);
	q->url = NULL;
	q->from = HTTP_UNKNOWN;
	return result < 0 ? -1 : 0;
}
