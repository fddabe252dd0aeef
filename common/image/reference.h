/*
 * reference: parse and compare the names of images.
 *
 * A reference is "NAME:TAG" or "NAME@sha256:HEX". NAME consists of path components. The
 * first component may be a registry's host and port. Docker abbreviates names: "hello" is
 * "docker.io/library/hello" in full.
 *
 *	if (reference_parse(&r, "hello:1", &e) == 0)
 *		printf("%s %s\n", r.host, r.path);
 *	reference_release(&r);
 *
 * Specification: OCI distribution specification, "Pulling manifests"; the abbreviations
 * are those of Docker's "familiar names".
 */
#ifndef DT_REFERENCE_H
#define DT_REFERENCE_H

#include "base/digest.h"

#include <stdbool.h>

struct buf;
struct err;

/*
 * Checks the name of a repository, in lower case and without a tag. Returns 0, or -1 and
 * a reason.
 */
int reference_check_name(const char *name, struct err *e);

/* Checks a tag. Returns 0, or -1 and a reason. */
int reference_check_tag(const char *tag, struct err *e);

/*
 * Check the values of the options --name and --tag. They exit with status 2 if the value
 * is invalid. reference_name_option() returns the name in lower case; the caller frees
 * it.
 */
char *reference_name_option(const char *value);
const char *reference_tag_option(const char *value);

/*
 * Appends the full form of a name: "docker.io/library/NAME" for a single component, and
 * "docker.io/NAME" if the first component is not a host. A prefix "docker.io/" in `name`
 * is allowed; its rest is a path even if it begins like a host.
 */
void reference_full_name(const char *name, struct buf *out);

/*
 * Splits "NAME:TAG" or "NAME" and checks both parts. The default tag is "latest". `name`
 * is overwritten. *tag points into `reference` or to a constant. Returns 0, or -1 and a
 * reason.
 */
int reference_split(const char *reference, struct buf *name, const char **tag,
		    struct err *e);

/*
 * Whether `reference` ("NAME:TAG") has this name and this tag. Names are compared in full
 * form. A NULL name or tag matches any.
 */
bool reference_matches(const char *reference, const char *name, const char *tag);

/* The reference of an image in a registry. The strings are owned. */
struct reference {
	char *name;                  /* in full: "docker.io/library/hello" */
	char *host;                  /* "docker.io" */
	char *path;                  /* "library/hello" */
	char *tag;                   /* NULL if there is none */
	char digest[DIGEST_HEX + 1]; /* of the manifest, or "" */
};

/*
 * Parses "NAME", "NAME:TAG" or "NAME@sha256:HEX". Returns 0, or -1 and a reason. The
 * caller must release `r` in both cases.
 */
int reference_parse(struct reference *r, const char *text, struct err *e);
void reference_release(struct reference *r);

#endif
