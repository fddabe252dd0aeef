#include "registry/registry.h"

#include "base/err.h"
#include "base/mem.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "registry/login.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	WAIT_MS = 200,  /* before the second attempt; doubled before each next one */
	WAIT_MAX = 60,  /* seconds; limit for Retry-After */
	STEP = 1 << 20, /* bytes; an attempt that transfers as many does not count */
};

/* A host to ask: a mirror, or the registry itself. */
struct endpoint {
	char *host, *path; /* of the repository: "library/hello" */
	struct login *login;
	bool is_plain;         /* HTTP without TLS */
	bool is_proven;        /* it has answered */
	enum http_place place; /* its place when it answered */
};

struct registry {
	const struct registry_options *o;
	struct endpoint endpoint[2];
	size_t n;
	pthread_mutex_t lock; /* for the members of the endpoints, and for `idle` */
	struct http *idle[REGISTRY_JOBS_MAX];
	size_t n_idle;
};

static const char hub[] = "docker.io", hub_host[] = "registry-1.docker.io";

/*
 * Takes ownership of `path` and `host`. `known_as` is not copied; NULL stands for `host`.
 */
static void add_endpoint(struct registry *r, char *host, const char *known_as, char *path)
{
	struct endpoint *p = &r->endpoint[r->n++];

	p->host = host;
	p->path = path;
	p->place = HTTP_FAR;
	const struct login_scope scope = {
	    .path = path, .push = r->o->push, .other = r->o->other};
	p->login = login_new(host, known_as != NULL ? known_as : host, &scope);
}

/* Adds a mirror HOST[:PORT][/PATH]. PATH is a prefix of the repository's path. */
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
	if (r == NULL)
		return;
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

/* Returns a client that no other thread uses. It may have open connections. */
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

/* --- a request and its retries --- */

/* A request, and the response to the last attempt. */
struct task {
	struct registry *r;
	struct endpoint *p; /* NULL: a URL of no registry, without credentials */
	struct http_request *q;
	const char *what; /* the name for messages */
	unsigned retries;
	bool is_any; /* the caller checks the status */
	struct http_response a;
	struct err *e;
};

/* The result of an attempt. If it is FAILED, *e has the reason. */
enum { GOT = 0, FAILED = -1, NO_TLS = -2 };

static int bad_status(const struct task *t)
{
	long status = t->a.status;
	const char *text = status == 401   ? ", not authorized"
			   : status == 403 ? ", denied"
			   : status == 404 ? ", not found"
			   : status == 429 ? ", too many requests"
					   : "";

	return err_set(t->e, "%s: status %ld%s%s", t->what, status, text,
		       t->a.is_elsewhere ? ", after a redirect to another server" : "");
}

void registry_pause(unsigned attempt, uint64_t seconds)
{
	uint64_t ms = (uint64_t)WAIT_MS << attempt;

	if (seconds > 0)
		ms = 1000 * (seconds < WAIT_MAX ? seconds : WAIT_MAX);
	const struct timespec t = {.tv_sec = (time_t)(ms / 1000),
				   .tv_nsec = (long)(ms % 1000 * 1000000)};
	nanosleep(&t, NULL);
}

bool registry_may_pass(const struct http_response *a)
{
	return a->is_cut || a->status == 429 || a->status >= 500;
}

/*
 * Records the endpoint's place and whether it has answered. Returns whether the request
 * should be repeated without TLS. The user must allow that. In addition, the endpoint has
 * never answered, or another thread has found that it does not use TLS.
 */
static bool knows_no_tls(struct task *t)
{
	struct endpoint *p = t->p;
	const struct http_response *a = &t->a;
	bool is_secure = strncmp(t->q->url, "https:", 6) == 0;

	pthread_mutex_lock(&t->r->lock);
	p->is_proven = p->is_proven || a->has_answered;
	if (a->has_answered && !a->is_elsewhere)
		p->place = a->place;
	bool is_plain = is_secure && !a->has_answered && !t->r->o->verify &&
			(p->is_plain || !p->is_proven);
	p->is_plain = p->is_plain || is_plain;
	pthread_mutex_unlock(&t->r->lock);
	return is_plain;
}

/* Whether a registry that has answered before does not answer now. */
static bool is_gone(const struct task *t)
{
	if (t->p == NULL || t->a.has_answered)
		return false;
	pthread_mutex_lock(&t->r->lock);
	bool result = t->p->is_proven;
	pthread_mutex_unlock(&t->r->lock);
	return result;
}

static int send_once(struct task *t, struct http *h)
{
	int result = t->p != NULL ? login_send(t->p->login, h, t->q, &t->a, t->e)
				  : http_send(h, t->q, &t->a, t->e);

	if (t->p != NULL && knows_no_tls(t))
		return NO_TLS;
	if (result < 0) {
		t->a.is_cut = t->a.is_cut || is_gone(t);
		return err_prefix(t->e, "%s", t->what);
	}
	if (t->is_any && !registry_may_pass(&t->a))
		return GOT;
	return t->a.status == 200 || t->a.status == 206 ? GOT : bad_status(t);
}

/*
 * Repeats the request while that may help. Sets `type` as registry_get() does, unless it
 * is NULL.
 */
static int send_until(struct task *t, char *type)
{
	struct http *h = take_client(t->r);
	int result;

	for (unsigned attempt = 0;; attempt++) {
		uint64_t before = t->q->have;
		result = send_once(t, h);
		if (result != FAILED || !registry_may_pass(&t->a))
			break;
		if (t->q->have >= before + STEP)
			attempt = 0;
		if (attempt == t->retries)
			break;
		registry_pause(attempt, t->a.wait);
	}
	if (result == GOT && type != NULL)
		snprintf(type, sizeof t->a.type, "%s",
			 *t->a.type != '\0' ? t->a.type : "none");
	return_client(t->r, h);
	return result;
}

/* --- requests --- */

/* Replaces `url` by the URL of the repository at the endpoint, with a final slash. */
static void endpoint_url(struct registry *r, const struct endpoint *p, struct buf *url)
{
	pthread_mutex_lock(&r->lock);
	bool is_plain = p->is_plain;
	pthread_mutex_unlock(&r->lock);
	buf_clear(url);
	buf_addf(url, "http%s://%s/v2/%s/", is_plain ? "" : "s", p->host, p->path);
}

static int get_from(struct registry *r, struct endpoint *p, const char *kind,
		    const char *what, struct http_request *q, char *type, struct err *e)
{
	struct buf url = {0}, name = {0};
	int result;

	buf_addf(&name, "%s: %s/%s", p->host, kind, what);
	struct task t = {
	    .r = r, .p = p, .q = q, .what = name.data, .retries = r->o->retries, .e = e};
	do {
		endpoint_url(r, p, &url);
		buf_addf(&url, "%s/%s", kind, what);
		q->url = url.data;
		result = send_until(&t, type);
	} while (result == NO_TLS);
	q->url = NULL;
	http_response_release(&t.a);
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
	struct task t = {
	    .r = r, .q = q, .what = o.text, .retries = r->o->retries, .e = e};

	if (http_origin(&o, url, e) < 0)
		return -1;
	pthread_mutex_lock(&r->lock);
	q->from = r->endpoint[r->n - 1].place;
	pthread_mutex_unlock(&r->lock);
	q->url = url;
	int result = send_until(&t, NULL);
	http_response_release(&t.a);
	q->url = NULL;
	q->from = HTTP_UNKNOWN;
	return result;
}

/* --- requests to the registry itself --- */

static struct endpoint *own_endpoint(struct registry *r)
{
	return &r->endpoint[r->n - 1];
}

const char *registry_host(const struct registry *r)
{
	return r->endpoint[r->n - 1].host;
}

const char *registry_path(const struct registry *r)
{
	return r->endpoint[r->n - 1].path;
}

unsigned registry_retries(const struct registry *r)
{
	return r->o->retries;
}

static bool is_url(const char *where)
{
	return strstr(where, "://") != NULL;
}

/* The name of a request in messages. A URL may contain a secret. */
static void name_request(const struct registry *r, const char *where, struct buf *name)
{
	int shown = (int)strcspn(where, "?");

	buf_addf(name, "%s", registry_host(r));
	if (is_url(where))
		buf_addstr(name, ": upload");
	else
		buf_addf(name, ": %.*s", shown, where);
}

int registry_refused(const struct registry *r, const char *where,
		     const struct http_response *a, struct err *e)
{
	struct buf name = {0};

	name_request(r, where, &name);
	const struct task t = {.what = name.data, .a = *a, .e = e};
	bad_status(&t);
	buf_release(&name);
	return -1;
}

/*
 * Sets the URL of the request. A URL of another origin than the registry's gets no
 * credentials: *p becomes NULL. Returns 0, or -1 and a reason.
 */
static int place_request(struct registry *r, const char *where, struct endpoint **p,
			 struct buf *url, enum http_place *from, struct err *e)
{
	struct http_origin own, other;

	*p = own_endpoint(r);
	*from = HTTP_UNKNOWN;
	endpoint_url(r, *p, url);
	if (!is_url(where)) {
		buf_addstr(url, where);
		return 0;
	}
	if (http_origin(&own, url->data, e) < 0 || http_origin(&other, where, e) < 0)
		return -1;
	buf_clear(url);
	buf_addstr(url, where);
	if (strcmp(own.text, other.text) == 0)
		return 0;
	if (r->o->verify && own.is_secure && !other.is_secure)
		return err_set(e, "%s refers from https to http", own.text);
	pthread_mutex_lock(&r->lock);
	*from = (*p)->place;
	pthread_mutex_unlock(&r->lock);
	*p = NULL;
	return 0;
}

int registry_send(struct registry *r, const char *where, bool once,
		  struct http_request *q, struct http_response *a, struct err *e)
{
	struct buf url = {0}, name = {0};
	struct task t = {
	    .r = r, .q = q, .retries = once ? 0 : r->o->retries, .is_any = true, .e = e};
	int result;

	name_request(r, where, &name);
	t.what = name.data;
	do {
		result = place_request(r, where, &t.p, &url, &q->from, e);
		if (result < 0)
			break;
		q->url = url.data;
		result = send_until(&t, NULL);
	} while (result == NO_TLS);
	q->url = NULL;
	q->from = HTTP_UNKNOWN;
	http_response_release(a);
	*a = t.a;
	buf_release(&url);
	buf_release(&name);
	return result;
}

int registry_manifest(struct registry *r, const char *what, struct buf *text, char *type,
		      struct err *e)
{
	struct http_request q = {.accept = manifest_types};
	struct http_response a = {0};
	struct buf where = {0};

	http_into(&q, text, JSON_LIMIT);
	buf_addf(&where, "manifests/%s", what);
	int result = registry_send(r, where.data, false, &q, &a, e);
	if (result == 0 && a.status == 200)
		result = 1;
	else if (result == 0 && a.status != 404)
		result = registry_refused(r, where.data, &a, e);
	memcpy(type, a.type, sizeof a.type);
	http_response_release(&a);
	buf_release(&where);
	return result;
}
