/*
 * credentials: the user's name and password at a registry.
 *
 * They are looked for where skopeo(1) does (containers-auth.json(5)): in the file
 * REGISTRY_AUTH_FILE if that is set; else in the first of these files that knows the
 * registry:
 *
 *     $XDG_RUNTIME_DIR/containers/auth.json
 *     $XDG_CONFIG_HOME/containers/auth.json    or ~/.config/containers/auth.json
 *     $DOCKER_CONFIG/config.json               or ~/.docker/config.json
 *
 * A file has credentials under "auths", by registry and repository. It may name programs
 * that have them (docker-credential-NAME), under "credHelpers" and "credsStore". Such a
 * program gets the registry's name on standard input, and no open file of ours.
 *
 * Credentials are in guarded memory, and in no message.
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
 * Finds the credentials for the repository `path` ("library/hello") at `host`
 * ("docker.io"). Returns 0, and an empty `c` if there are none; -1 and which file or
 * program failed. The caller releases `c` in both cases.
 */
int credentials_find(struct credentials *c, const char *host, const char *path,
		     struct err *e);
void credentials_release(struct credentials *c);

/* The same, in the text of one file, which is called `file` in messages. */
int credentials_parse(struct credentials *c, const char *text, size_t len,
		      const char *file, const char *host, const char *path,
		      struct err *e);

/* "Basic ..." (RFC 7617), guarded; the caller frees it by secret_free(). */
char *credentials_basic(const struct credentials *c);

#endif
