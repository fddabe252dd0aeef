/*
 * reference: the names of images.
 *
 * "NAME:TAG", NAME being path components, the first of which may be a registry's host
 * and port (OCI distribution specification, "Pulling manifests"; what Docker calls a
 * familiar name).
 */
#ifndef DT_REFERENCE_H
#define DT_REFERENCE_H

#include "base/digest.h"

#include <stdbool.h>

struct buf;
struct err;

/* Whether `name` may name a repository: lower case, no tag. Returns 0, or -1 and why. */
int reference_check_name(const char *name, struct err *e);

/* Whether `tag` may be a tag. Returns 0, or -1 and why not. */
int reference_check_tag(const char *tag, struct err *e);

/*
 * Appends the name that Docker writes in full: "docker.io/library/NAME" for one
 * component, with or without "docker.io/" in front; "docker.io/NAME" where the first is
 * no host.
 */
void reference_full_name(const char *name, struct buf *out);

/*
 * Takes "NAME:TAG" or "NAME", whose tag is "latest", apart and checks both. `name` is
 * replaced; *tag points into `reference`, or to a constant. Returns 0, or -1 and why not.
 */
int reference_split(const char *reference, struct buf *name, const char **tag,
		    struct err *e);

/*
 * Whether `reference` ("NAME:TAG") has just this name, however each is abbreviated, and
 * just this tag. NULL matches any.
 */
bool reference_matches(const char *reference, const char *name, const char *tag);

/* An image in a registry; the strings are owned. */
struct reference {
	char *name;                  /* in full, "docker.io/library/hello" */
	char *host;                  /* "docker.io" */
	char *path;                  /* "library/hello" */
	char *tag;                   /* or NULL */
	char digest[DIGEST_HEX + 1]; /* of its manifest, or "" */
};

/* Reads "NAME", "NAME:TAG" or "NAME@sha256:HEX". Returns 0, or -1 and why not. */
int reference_parse(struct reference *r, const char *text, struct err *e);
void reference_release(struct reference *r);

#endif
