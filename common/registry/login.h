/*
 * login: send requests to a registry with the required authorization.
 *
 * The first request has no authorization. If the registry answers 401, its challenge
 * names a scheme: Basic sends the user and password; Bearer sends a token. Tokens are
 * issued by a token server, the realm in the challenge. The authorization is kept for
 * later requests.
 *
 *	const struct login_scope scope = {.path = "library/hello"};
 *	l = login_new("registry-1.docker.io", "docker.io", &scope);
 *	if (login_send(l, client, &request, &response, &e) == 0)
 *		...
 *
 * Credentials and tokens are sent only to the registry and its token server:
 *
 *   - A 401 of another host, to which the registry redirects, is an ordinary error.
 *   - If the registry uses TLS, the token server must use TLS.
 *   - If the registry is not on this machine, the token server must not be either.
 *   - Messages name only the origin of the token server's URL.
 *
 * Specification: "Token Authentication Specification" of the distribution project.
 */
#ifndef DT_LOGIN_H
#define DT_LOGIN_H

#include <stdbool.h>

struct err;
struct http;
struct http_request;
struct http_response;

/* The authorization at a registry. Several threads may use it at once. */
struct login;

/* The rights that a token must give. */
struct login_scope {
	const char *path;  /* of the repository: "library/hello" */
	bool push;         /* to write to it, too */
	const char *other; /* another repository that is only read, or NULL */
};

/*
 * Prepares requests for a repository at `host` ("registry-1.docker.io"). `known_as` is
 * the registry's name in files with credentials ("docker.io"). The strings are not
 * copied.
 */
struct login *login_new(const char *host, const char *known_as,
			const struct login_scope *scope);

/* Does nothing if `l` is NULL. */
void login_release(struct login *l);

/*
 * Sends the request like http_send(), with the current authorization. If the registry
 * requires another one, gets that and sends the request again. Sets q->authorization to
 * NULL. If getting an authorization fails, the fields of `r` show whether a retry may
 * help.
 */
int login_send(struct login *l, struct http *h, struct http_request *q,
	       struct http_response *r, struct err *e);

#endif
