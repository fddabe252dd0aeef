#include "registry.h"

#include "challenge.h"
#include "credentials.h"
#include "err.h"
#include "json.h"
#include "mem.h"
#include "reference.h"
#include "secret.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	WAIT_MS = 200,  /* before the second try; twice as long before each next one */
	WAIT_MAX = 60,  /* seconds of a Retry-After that are heeded */
	STEP = 1 << 20, /* bytes that a try must bring not to count */
	TOKEN_MAX = 1 << 20,
	TOKEN_SECONDS = 60, /* what a token is good for that does not say */
};

/* A host to ask: a mirror, or the registry itself. */
struct endpoint {
	char *host, *path;    /* of the repository, "library/hello" */
	const char *known_as; /* what its credentials are kept under */
	bool is_plain;        /* HTTP without TLS */
	bool is_proven;       /* it has answered */
	char *authorization;  /* guarded, or NULL */
	unsigned generation;  /* how often it was renewed */
	time_t expires;       /* 0: never */
	struct challenge challenge;
	struct credentials credentials;
	bool has_credentials;
};

struct registry {
	const struct registry_options *o;
	struct endpoint endpoint[2];
	size_t n;
	pthread_mutex_t lock; /* of what the endpoints were told, and of `idle` */
	struct http *idle[64];
	size_t n_idle;
};

static const char hub[] = "docker.io";

struct registry *registry_new(const struct reference *ref,
			      const struct registry_options *o)
{
	struct registry *r = mem_zero(1, sizeof *r);
	bool is_hub = strcmp(ref->host, hub) == 0;
	struct endpoint *p = r->endpoint;

	r->o = o;
	pthread_mutex_init(&r->lock, NULL);
	if (is_hub && o->mirror != NULL) {
		size_t n = strcspn(o->mirror, "/");
		struct buf path = {0};
		if (o->mirror[n] == '/')
			buf_addf(&path, "%s/", o->mirror + n + 1);
		buf_addstr(&path, ref->path);
		p->host = mem_strndup(o->mirror, n);
		p->path = path.data;
		p->known_as = p->host;
		p++;
	}
	p->host = mem_strdup(is_hub ? "registry-1.docker.io" : ref->host);
	p->path = mem_strdup(ref->path);
	p->known_as = ref->host;
	r->n = (size_t)(p + 1 - r->endpoint);
	return r;
}

void registry_release(struct registry *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct endpoint *p = &r->endpoint[i];
		free(p->host);
		free(p->path);
		secret_free(p->authorization);
		challenge_release(&p->challenge);
		credentials_release(&p->credentials);
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

/* --- tokens; r->lock is held --- */

/* Whether credentials and tokens may come from, and go to, the realm. */
static int check_realm(const struct endpoint *p, struct err *e)
{
	struct http_origin realm, own;
	struct buf url = {0};

	endpoint_url(p, &url);
	int result = http_origin(&own, url.data, e);
	buf_release(&url);
	if (result < 0)
		return -1;
	if (p->challenge.realm == NULL || http_origin(&realm, p->challenge.realm, e) < 0)
		return err_set(e, "%s names no realm to get a token from", p->host);
	if (own.is_secure && !realm.is_secure)
		return err_set(e, "%s wants a token of %s, without TLS", p->host,
			       realm.text);
	if (!http_may_lead(own.host, realm.host))
		return err_set(e, "%s wants a token of this machine, of %s", p->host,
			       realm.text);
	return 0;
}

/* A header cannot hold anything else. */
static bool is_token(const char *s)
{
	if (s == NULL || *s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (*s < '!' || *s > '~')
			return false;
	return true;
}

static void set_authorization(struct endpoint *p, char *value, time_t seconds)
{
	secret_free(p->authorization);
	p->authorization = value;
	p->expires = seconds > 0 ? time(NULL) + seconds : 0;
	p->generation++;
}

/* "Token Authentication Specification", "Token Response Fields". */
static int read_token(struct endpoint *p, const struct buf *body, struct err *e)
{
	struct err unused; /* it may quote what is secret */
	json_t *doc = json_parse(body->data, body->len, "token", &unused);
	const json_t *expires = json_object_get(doc, "expires_in");
	const char *token = json_string_at(doc, "token");
	int result = 0;

	if (!is_token(token))
		token = json_string_at(doc, "access_token");
	if (is_token(token)) {
		json_int_t seconds =
		    json_is_integer(expires) ? json_integer_value(expires) : 0;
		size_t size = strlen("Bearer ") + strlen(token) + 1;
		char *value = secret_new(size);
		snprintf(value, size, "Bearer %s", token);
		set_authorization(p, value, seconds > 0 ? seconds : TOKEN_SECONDS);
	} else {
		result = err_set(e, "%s: no token came", p->challenge.realm);
	}
	json_decref(doc);
	return result;
}

/* What is asked of the realm: a query, or a form with a refresh token in it. */
static void token_question(const struct endpoint *p, struct buf *out)
{
	if (p->credentials.identity != NULL) {
		buf_addstr(out, "grant_type=refresh_token&client_id=dt&refresh_token=");
		http_escape(out, p->credentials.identity);
		buf_addch(out, '&');
	}
	if (p->challenge.service != NULL) {
		buf_addstr(out, "service=");
		http_escape(out, p->challenge.service);
		buf_addch(out, '&');
	}
	buf_addstr(out, "scope=repository%3A");
	http_escape(out, p->path);
	buf_addstr(out, "%3Apull");
}

static int get_token(struct endpoint *p, struct http *h, struct http_response *r,
		     struct err *e)
{
	struct buf question = {0}, body = {0}, url = {0};
	bool is_form = p->credentials.identity != NULL;
	char *basic =
	    p->credentials.user != NULL ? credentials_basic(&p->credentials) : NULL;
	struct http_request q = {.authorization = basic};

	buf_reserve(&question, 65536); /* so that growing leaves no copies of secrets */
	buf_reserve(&body, TOKEN_MAX);
	token_question(p, &question);
	buf_addstr(&url, p->challenge.realm);
	if (is_form)
		q.form = question.data;
	else
		buf_addf(&url, "%c%s", strchr(url.data, '?') != NULL ? '&' : '?',
			 question.data);
	q.url = url.data;
	http_into(&q, &body, TOKEN_MAX);
	int result = http_send(h, &q, r, e);
	if (result == 0 && r->status != 200)
		result = err_set(e, "%s: status %ld%s", p->challenge.realm, r->status,
				 r->status == 401 || r->status == 403
				     ? ", the credentials are not accepted"
				     : "");
	else if (result == 0)
		result = read_token(p, &body, e);
	secret_free(basic);
	mem_wiping_free(question.data);
	mem_wiping_free(body.data);
	buf_release(&url);
	return result;
}

/* Gets what the challenge asks for. `r` tells whether to try again. */
static int authenticate(struct endpoint *p, struct http *h, struct http_response *r,
			struct err *e)
{
	if (!p->has_credentials) {
		if (credentials_find(&p->credentials, p->known_as, p->path, e) < 0)
			return -1;
		p->has_credentials = true;
	}
	if (p->challenge.has_bearer) {
		if (check_realm(p, e) < 0)
			return -1;
		return get_token(p, h, r, e);
	}
	if (!p->challenge.has_basic)
		return err_set(e, "%s asks for credentials of an unknown kind", p->host);
	if (p->credentials.user == NULL)
		return err_set(e, "%s asks for credentials, and none are known",
			       p->known_as);
	set_authorization(p, credentials_basic(&p->credentials), 0);
	return 0;
}

/* --- requests --- */

/* Renews the authorization unless another thread has: after a 401, by what it offers. */
static int renew(struct registry *r, struct endpoint *p, struct http *h,
		 unsigned generation, struct http_response *answer, struct err *e)
{
	struct http_response of_realm = {0};
	int result = 0;

	pthread_mutex_lock(&r->lock);
	if (p->generation == generation) {
		if (answer->offers.len > 0) {
			challenge_release(&p->challenge);
			challenge_parse(&p->challenge, answer->offers.data);
		}
		result = authenticate(p, h, &of_realm, e);
	}
	pthread_mutex_unlock(&r->lock);
	if (result < 0) { /* it is the realm's answer that counts */
		answer->status = of_realm.status;
		answer->is_cut = of_realm.is_cut;
		answer->wait = of_realm.wait;
	}
	http_response_release(&of_realm);
	return result;
}

/* A copy of the authorization, which the caller frees, and whether it is still good. */
static char *authorization(struct registry *r, const struct endpoint *p,
			   unsigned *generation, bool *is_stale)
{
	pthread_mutex_lock(&r->lock);
	char *copy = secret_copy(p->authorization);
	*generation = p->generation;
	*is_stale = p->expires != 0 && time(NULL) >= p->expires;
	pthread_mutex_unlock(&r->lock);
	return copy;
}

static int send_authorized(struct registry *r, struct endpoint *p, struct http *h,
			   struct http_request *q, struct http_response *answer,
			   struct err *e)
{
	for (int turn = 0;; turn++) {
		unsigned generation;
		bool is_stale;
		char *value = authorization(r, p, &generation, &is_stale);
		int result = 0;
		http_response_release(answer);
		if (!is_stale || turn > 0) {
			q->authorization = value;
			result = http_send(h, q, answer, e);
			q->authorization = NULL;
		}
		secret_free(value);
		bool is_refused = is_stale || answer->status == 401;
		if (result < 0 || turn > 0 || !is_refused)
			return result;
		if (renew(r, p, h, generation, answer, e) < 0)
			return -1;
	}
}

static int bad_status(const char *what, long status, struct err *e)
{
	const char *text = status == 401   ? ", not authorized"
			   : status == 403 ? ", denied"
			   : status == 404 ? ", not found"
			   : status == 429 ? ", too many requests"
					   : "";

	return err_set(e, "%s: status %ld%s", what, status, text);
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
 * Whether a host that gave no answer, to a request with TLS, may know no TLS. Another
 * thread may have found that out by now.
 */
static bool may_be_plain(struct registry *r, struct endpoint *p, bool is_secure,
			 bool has_answered)
{
	pthread_mutex_lock(&r->lock);
	p->is_proven = p->is_proven || has_answered;
	bool may =
	    is_secure && !has_answered && !r->o->verify && (p->is_plain || !p->is_proven);
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
	bool is_secure = strncmp(q->url, "https:", 6) == 0;
	int result =
	    p != NULL ? send_authorized(r, p, h, q, a, e) : http_send(h, q, a, e);

	if (p != NULL && may_be_plain(r, p, is_secure, a->status != 0))
		return -2;
	if (result < 0) {
		const struct err why = *e;
		return err_set(e, "%s: %s", what, why.text);
	}
	return a->status == 200 || a->status == 206 ? 0 : bad_status(what, a->status, e);
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
	const char *own = r->endpoint[r->n - 1].host;
	char *host = mem_strndup(own, strcspn(own, ":"));
	bool may = http_may_lead(host, o.host);
	free(host);
	if (!may)
		return err_set(e, "a layer on this machine, at %s", o.text);
	q->url = url;
	int result = send_until(r, NULL, q, NULL, o.text, e);
	q->url = NULL;
	return result < 0 ? -1 : 0;
}
