#include "registry/login.h"

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/secret.h"
#include "registry/challenge.h"
#include "registry/credentials.h"
#include "registry/http.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	TOKEN_MAX = 1 << 20,       /* bytes of the token server's response */
	QUESTION_MAX = 64 << 10,   /* bytes reserved for the request to it */
	SECONDS = 60,              /* lifetime of a token without "expires_in" */
	SECONDS_MAX = 24 * 60 * 60 /* limit for "expires_in" */
};

struct login {
	const char *host, *known_as;
	struct login_scope scope;
	pthread_mutex_t lock; /* for all members below */
	char *authorization;  /* guarded, or NULL */
	unsigned generation;  /* incremented when it is renewed */
	time_t expires;       /* 0: never */
	struct challenge challenge;
	enum http_place place; /* of the registry when it sent the challenge */
	struct credentials credentials;
	bool has_credentials;
};

struct login *login_new(const char *host, const char *known_as,
			const struct login_scope *scope)
{
	struct login *l = mem_zero(1, sizeof *l);

	l->host = host;
	l->known_as = known_as;
	l->scope = *scope;
	l->place = HTTP_FAR;
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

void login_release(struct login *l)
{
	if (l == NULL)
		return;
	secret_free(l->authorization);
	challenge_release(&l->challenge);
	credentials_release(&l->credentials);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* --- tokens; the caller holds the lock --- */

static void set_authorization(struct login *l, char *value, time_t seconds)
{
	secret_free(l->authorization);
	l->authorization = value;
	l->expires = seconds > 0 ? time(NULL) + seconds : 0;
	l->generation++;
}

/* Whether the token can be in a header. */
static bool is_token(const char *s)
{
	if (s == NULL || *s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (*s < '!' || *s > '~')
			return false;
	return true;
}

static time_t lifetime(const json_t *expires_in)
{
	json_int_t seconds =
	    json_is_integer(expires_in) ? json_integer_value(expires_in) : 0;

	if (seconds <= 0)
		return SECONDS;
	return (time_t)(seconds < SECONDS_MAX ? seconds : SECONDS_MAX);
}

/* "Token Authentication Specification", "Token Response Fields". */
static int read_token(struct login *l, const struct buf *body, struct err *e)
{
	struct err unused; /* discarded: it may quote a secret */
	json_t *doc = json_parse(body->data, body->len, "token", &unused);
	const char *token = json_string_at(doc, "token");
	int result = 0;

	if (!is_token(token))
		token = json_string_at(doc, "access_token");
	if (is_token(token)) {
		size_t size = strlen("Bearer ") + strlen(token) + 1;
		char *value = secret_new(size);
		snprintf(value, size, "Bearer %s", token);
		set_authorization(l, value, lifetime(json_object_get(doc, "expires_in")));
	} else {
		result = err_set(e, "the answer has no token");
	}
	json_decref(doc);
	return result;
}

/* Makes the query for the token server, or a form if there is a refresh token. */
static void token_question(const struct login *l, struct buf *out)
{
	if (l->credentials.identity != NULL) {
		buf_addstr(out, "grant_type=refresh_token&client_id=dt&refresh_token=");
		http_escape(out, l->credentials.identity);
		buf_addch(out, '&');
	}
	if (l->challenge.service != NULL) {
		buf_addstr(out, "service=");
		http_escape(out, l->challenge.service);
		buf_addch(out, '&');
	}
	buf_addstr(out, "scope=repository%3A");
	http_escape(out, l->scope.path);
	buf_addstr(out, l->scope.push ? "%3Apull%2Cpush" : "%3Apull");
	if (l->scope.other == NULL)
		return;
	/* OAuth 2.0 has one parameter with several words, the other request has several.
	 */
	buf_addstr(out, l->credentials.identity != NULL ? "%20repository%3A"
							: "&scope=repository%3A");
	http_escape(out, l->scope.other);
	buf_addstr(out, "%3Apull");
}

/* Sends the request to the token server, and reads the token in its response. */
static int ask_realm(struct login *l, struct http *h, struct http_request *q,
		     struct http_response *r, struct err *e)
{
	struct buf body = {0};

	buf_reserve(&body, TOKEN_MAX);
	http_into(q, &body, TOKEN_MAX);
	int result = http_send(h, q, r, e);
	if (result == 0 && r->status != 200)
		result = err_set(e, "status %ld%s", r->status,
				 r->status == 401 || r->status == 403
				     ? ", the credentials are not accepted"
				     : "");
	else if (result == 0)
		result = read_token(l, &body, e);
	mem_wiping_free(body.data);
	return result;
}

static int get_token(struct login *l, struct http *h, struct http_response *r,
		     struct err *e)
{
	struct buf question = {0}, url = {0};
	char *basic =
	    l->credentials.user != NULL ? credentials_basic(&l->credentials) : NULL;
	struct http_request q = {.authorization = basic, .from = l->place};

	buf_reserve(&question, QUESTION_MAX); /* growing would leave copies of secrets */
	token_question(l, &question);
	buf_addstr(&url, l->challenge.realm);
	if (l->credentials.identity != NULL)
		q.form = question.data;
	else
		http_add_query(&url, question.data);
	q.url = url.data;
	int result = ask_realm(l, h, &q, r, e);
	secret_free(basic);
	mem_wiping_free(question.data);
	buf_release(&url);
	return result;
}

/*
 * Checks the URL of the token server, to which credentials are sent. `url` is the
 * registry's.
 */
static int check_realm(const struct login *l, const char *url, struct http_origin *realm,
		       struct err *e)
{
	struct http_origin own;

	if (http_origin(&own, url, e) < 0)
		return -1;
	if (l->challenge.realm == NULL || http_origin(realm, l->challenge.realm, e) < 0)
		return err_set(e, "%s names no realm to get a token from", l->host);
	if (own.is_secure && !realm->is_secure)
		return err_set(e, "%s wants a token of %s, without TLS", l->host,
			       realm->text);
	return 0;
}

/*
 * Gets the authorization that the challenge in the response to `url` requires. `r`
 * becomes the token server's response.
 */
static int authenticate(struct login *l, struct http *h, const char *url,
			struct http_response *r, struct err *e)
{
	struct http_origin realm;

	if (!l->has_credentials &&
	    credentials_find(&l->credentials, l->known_as, l->scope.path, e) < 0)
		return -1;
	l->has_credentials = true;
	if (l->challenge.has_bearer) {
		if (check_realm(l, url, &realm, e) < 0)
			return -1;
		if (get_token(l, h, r, e) == 0)
			return 0;
		return err_prefix(e, "%s", realm.text);
	}
	if (!l->challenge.has_basic)
		return err_set(e, "%s asks for credentials of an unknown kind", l->host);
	if (l->credentials.user == NULL)
		return err_set(e, "%s asks for credentials, and none are known",
			       l->known_as);
	set_authorization(l, credentials_basic(&l->credentials), 0);
	return 0;
}

/* --- requests --- */

/* Reads the challenge in a 401 of the registry. */
static void take_challenge(struct login *l, const struct http_response *r)
{
	if (r->offers.len == 0)
		return;
	challenge_release(&l->challenge);
	challenge_parse(&l->challenge, r->offers.data);
	l->place = r->place;
}

/* Renews the authorization, unless another thread has renewed it. */
static int renew(struct login *l, struct http *h, const char *url, unsigned generation,
		 struct http_response *r, struct err *e)
{
	struct http_response of_realm = {0};
	int result = 0;

	pthread_mutex_lock(&l->lock);
	if (l->generation == generation) {
		take_challenge(l, r);
		result = authenticate(l, h, url, &of_realm, e);
	}
	pthread_mutex_unlock(&l->lock);
	if (result < 0) { /* the token server's response decides about a retry */
		r->status = of_realm.status;
		r->is_cut = of_realm.is_cut;
		r->wait = of_realm.wait;
	}
	http_response_release(&of_realm);
	return result;
}

/*
 * Returns a copy of the authorization, which the caller frees. Sets *is_stale if it has
 * expired.
 */
static char *copy_authorization(struct login *l, unsigned *generation, bool *is_stale)
{
	pthread_mutex_lock(&l->lock);
	char *copy = secret_copy(l->authorization);
	*generation = l->generation;
	*is_stale = l->expires != 0 && time(NULL) >= l->expires;
	pthread_mutex_unlock(&l->lock);
	return copy;
}

int login_send(struct login *l, struct http *h, struct http_request *q,
	       struct http_response *r, struct err *e)
{
	bool has_answered = false;

	for (int turn = 0;; turn++) {
		unsigned generation;
		bool is_stale;
		char *value = copy_authorization(l, &generation, &is_stale);
		int result = 0;
		http_response_release(r);
		if (!is_stale || turn > 0) {
			q->authorization = value;
			result = http_send(h, q, r, e);
			q->authorization = NULL;
		}
		r->has_answered = has_answered = has_answered || r->has_answered;
		secret_free(value);
		bool is_asked = is_stale || (r->status == 401 && !r->is_elsewhere);
		if (result < 0 || turn > 0 || !is_asked)
			return result;
		if (renew(l, h, q->url, generation, r, e) < 0)
			return -1;
	}
}
