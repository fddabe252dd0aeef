/*
 * reference: the names of images. Level 3.
 *
 * "NAME:TAG", NAME being path components, the first of which may be a registry's host
 * and port (OCI distribution specification, "Pulling manifests"; what Docker calls a
 * familiar name).
 */
#ifndef DT_REFERENCE_H
#define DT_REFERENCE_H

#include <stdbool.h>

struct buf;
struct err;

/* Whether `name` may name a repository: lower case, no tag. Returns 0, or -1 and why. */
int reference_check_name(const char *name, struct err *e);

/* Whether `tag` may be a tag. Returns 0, or -1 and why not. */
int reference_check_tag(const char *tag, struct err *e);

/*
 * Appends the name that Docker writes in full: "docker.io/library/NAME" for one
 * component, "docker.io/NAME" where the first is no host.
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

#endif
