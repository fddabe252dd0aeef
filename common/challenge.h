/*
 * challenge: what a registry wants to be told before it answers. Level 3.
 *
 * The value of WWW-Authenticate (RFC 9110, 11.6.1): the schemes that the server takes.
 * Those of registries are Basic and Bearer (distribution, "Token Authentication
 * Specification").
 */
#ifndef DT_CHALLENGE_H
#define DT_CHALLENGE_H

#include <stdbool.h>

struct challenge {
	bool has_basic, has_bearer;
	char *realm, *service; /* of Bearer, owned; NULL if missing */
};

/*
 * Reads header values, each ended by a newline. Schemes that are not known are passed
 * over; of several Bearers the first one counts. What is no challenge adds nothing.
 */
void challenge_parse(struct challenge *c, const char *values);
void challenge_release(struct challenge *c);

#endif
