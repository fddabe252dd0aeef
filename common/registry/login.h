/*
 * login: requests to a registry, with the authorization that it asks for.
 *
 * The first request has none. If the registry answers 401, its challenge says whether it
 * takes the user and the password themselves (Basic) or a token (Bearer), which the realm
 * in the challenge gives ("Token Authentication Specification" of the distribution
 * project). The authorization is kept for the requests that follow.
 *
 * Credentials and tokens stay between us, the registry and its realm:
 *
 * - Only the registry itself has a say. A 401 of another host, to which it redirects, is
 *   a failure like any other.
 * - The realm of a registry with TLS must have TLS.
 * - The realm of a registry elsewhere cannot be on this machine.
 * - A message names the origin of a realm, nothing else of its URL.
 */
#ifndef DT_LOGIN_H
#define DT_LOGIN_H

struct err;
struct http;
struct http_request;
struct http_response;

/* What we are to one registry. Several threads may use it at once. */
struct login;

/*
 * For the repository `path` ("library/hello") at `host` ("registry-1.docker.io"), whose
 * credentials are kept under the name `known_as` ("docker.io"). The texts are kept, not
 * copied.
 */
struct login *login_new(const char *host, const char *known_as, const char *path);

/* NULL is a no-op. */
void login_release(struct login *l);

/*
 * Sends the request as http_send() does, with the authorization that is known; if the
 * registry asks for another one, gets that and sends the request again. Replaces
 * q->authorization. If no authorization can be got, `r` tells whether to try again.
 */
int login_send(struct login *l, struct http *h, struct http_request *q,
	       struct http_response *r, struct err *e);

#endif
