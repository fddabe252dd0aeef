/*
 * credentials-private: the programs that have credentials, docker-credential-NAME.
 *
 *	result = credentials_ask(&c, "pass", "quay.io", &e);
 */
#ifndef DT_CREDENTIALS_PRIVATE_H
#define DT_CREDENTIALS_PRIVATE_H

#include "registry/credentials.h"

/* The beginning of the program's name. */
#define CREDENTIALS_HELPER "docker-credential-"

/*
 * Asks the program of this NAME for the credentials of the registry `server`, and adds
 * them to the empty `c`. Returns 1, 0 if it has none, or -1 and a reason.
 */
int credentials_ask(struct credentials *c, const char *name, const char *server,
		    struct err *e);

#endif
