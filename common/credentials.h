/*
 * credentials: who we are to a registry. Level 5.
 *
 * As skopeo(1) finds them (containers-auth.json(5)): in the file REGISTRY_AUTH_FILE if
 * that is set; else in the first that knows the registry of
 * $XDG_RUNTIME_DIR/containers/auth.json, $XDG_CONFIG_HOME/containers/auth.json (or
 * ~/.config) and $DOCKER_CONFIG/config.json (or ~/.docker). Each of them has "auths", by
 * registries and the repositories in them, and may name programs to ask, in "credHelpers"
 * and "credsStore" (docker-credential-NAME). What they say lies in guarded memory and is
 * in no message.
 */
#ifndef DT_CREDENTIALS_H
#define DT_CREDENTIALS_H

#include <stddef.h>

struct err;

struct credentials {
	char *user, *password; /* guarded; both NULL if there are none */
	char *identity;        /* guarded: a refresh token, instead of both; or NULL */
};

/*
 * Looks for those of the repository `path` at `host` ("docker.io", "library/hello").
 * Returns 0, with none in it if none are known, or -1 and which file or program failed;
 * in either case the caller releases it.
 */
int credentials_find(struct credentials *c, const char *host, const char *path,
		     struct err *e);
void credentials_release(struct credentials *c);

/* The same in the text of one file, which messages call `file`. Runs programs. */
int credentials_parse(struct credentials *c, const char *text, size_t len,
		      const char *file, const char *host, const char *path,
		      struct err *e);

/* "Basic ..." (RFC 7617), guarded; the caller frees it by secret_free(). */
char *credentials_basic(const struct credentials *c);

#endif
