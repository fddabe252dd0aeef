/*
 * credentials: find the user's password for a registry.
 *
 * The files and their order are those of skopeo(1), see containers-auth.json(5). If
 * REGISTRY_AUTH_FILE is set, only that file is read. Otherwise the first of these files
 * that has credentials for the registry is used:
 *
 *     $XDG_RUNTIME_DIR/containers/auth.json
 *     $XDG_CONFIG_HOME/containers/auth.json    or ~/.config/containers/auth.json
 *     $DOCKER_CONFIG/config.json               or ~/.docker/config.json
 *
 * A file has credentials under "auths", by registry and repository. Under "credHelpers"
 * and "credsStore" it may name programs (docker-credential-NAME) that have credentials.
 * Such a program gets the registry's name on standard input. It inherits no other
 * descriptors except standard error.
 *
 * Credentials are kept in guarded memory. No message contains them.
 *
 *	if (credentials_find(&c, "docker.io", "library/hello", &e) == 0 && c.user)
 *		header = credentials_basic(&c);
 *	credentials_release(&c);
 */
#ifndef DT_CREDENTIALS_H
#define DT_CREDENTIALS_H

#include <stddef.h>
#include <sys/types.h>

struct buf;
struct err;

struct credentials {
	char *user, *password; /* guarded; both NULL if there are none */
	char *identity;        /* guarded: a refresh token that replaces both, or NULL */
};

/*
 * Finds the credentials for the repository `path` ("library/hello") at `host`
 * ("docker.io"). Returns 0, with an empty `c` if there are none; or -1 and the file or
 * program that failed. The caller must release `c` in both cases.
 */
int credentials_find(struct credentials *c, const char *host, const char *path,
		     struct err *e);
void credentials_release(struct credentials *c);

/* Calls see() with the name of each file that credentials_find() may read. */
void credentials_files(void (*see)(void *arg, const char *file), void *arg);

/*
 * Adds a line to `out` for each registry that has credentials in these files:
 *
 *     HOW REGISTRY FILE
 *
 * HOW is "file" if the file has them, or docker-credential-NAME if this program has them.
 * REGISTRY is the key in the file, or "*" for a program that is asked for all registries.
 * No program is asked. Returns 0, or -1 and the file that cannot be read.
 */
int credentials_list(struct buf *out, struct err *e);

/*
 * Starts the credential helper PROGRAM ("docker-credential-NAME") with the argument
 * "get". Returns its PID, or -1 with errno set. A broker calls this function, so that a
 * process in a sandbox can run no other program, see sandbox.h.
 */
pid_t credentials_helper(const char *program, int in, int out);

/* Finds the credentials in the text of a single file. `file` names it in messages. */
int credentials_parse(struct credentials *c, const char *text, size_t len,
		      const char *file, const char *host, const char *path,
		      struct err *e);

/*
 * Adds the credentials in the answer of a credential helper to the empty `c`. Returns 1,
 * or -1 and a reason.
 */
int credentials_answer(struct credentials *c, const char *text, size_t len,
		       const char *program, struct err *e);

/*
 * The header value "Basic ..." (RFC 7617), guarded. The caller frees it with
 * secret_free().
 */
char *credentials_basic(const struct credentials *c);

#endif
