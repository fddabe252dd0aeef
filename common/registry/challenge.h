/*
 * challenge: parse the header WWW-Authenticate of a registry.
 *
 * A server that answers 401 lists the authentication schemes that it accepts. Registries
 * use Basic, and Bearer with the address of a token server (the realm).
 *
 * Specifications: RFC 9110, 11.6.1; "Token Authentication Specification" of the
 * distribution project.
 */
#ifndef DT_CHALLENGE_H
#define DT_CHALLENGE_H

#include <stdbool.h>

struct challenge {
	bool has_basic, has_bearer;
	char *realm, *service; /* of Bearer, owned; NULL if missing */
};

/*
 * Adds the values of headers, each followed by a newline. `c` must be zeroed before the
 * first call. Ignores unknown schemes, all Bearer challenges after the first, and text
 * that is not a challenge.
 */
void challenge_parse(struct challenge *c, const char *values);
void challenge_release(struct challenge *c);

#endif
