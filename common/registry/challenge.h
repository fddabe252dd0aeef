/*
 * challenge: how a registry wants to be authenticated to.
 *
 * Reads WWW-Authenticate (RFC 9110, 11.6.1), which lists the schemes that a server takes.
 * Registries use Basic and Bearer ("Token Authentication Specification" of the
 * distribution project).
 */
#ifndef DT_CHALLENGE_H
#define DT_CHALLENGE_H

#include <stdbool.h>

struct challenge {
	bool has_basic, has_bearer;
	char *realm, *service; /* of Bearer, owned; NULL if missing */
};

/*
 * Adds header values to `c`, each ended by a newline. Ignores unknown schemes, all
 * Bearers after the first one, and text that is no challenge.
 */
void challenge_parse(struct challenge *c, const char *values);
void challenge_release(struct challenge *c);

#endif
