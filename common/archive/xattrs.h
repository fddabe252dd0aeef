/*
 * xattrs: extended attributes, of files and as a tar holds them.
 *
 * There they are pax records "LEN SCHILY.xattr.NAME=VALUE\n", one after the other.
 */
#ifndef DT_XATTRS_H
#define DT_XATTRS_H

#include <stdbool.h>
#include <stddef.h>

enum { XATTRS_NAME = 256 };

/* What the key of such a record begins with. */
#define XATTRS_KEY "SCHILY.xattr."

struct xattr {
	char name[XATTRS_NAME]; /* such as "user.x" */
	const char *value;      /* of xattrs_next(): points into the records */
	size_t len;
};

/*
 * Takes the first attribute off the `*len` bytes of records at `*p`. Returns false if
 * there is none any more. What is no attribute, or has a longer name than Linux has, is
 * passed over.
 */
bool xattrs_next(const char **p, size_t *len, struct xattr *x);

/*
 * Calls each() for all attributes of the file `path`, or symlink, in the order of their
 * names, until it returns something but 0. Returns that; or 0, also where the file system
 * knows of no attributes; or -1 and errno if they cannot be read.
 */
int xattrs_read(const char *path, int (*each)(void *arg, const struct xattr *x),
		void *arg);

/*
 * Whether an attribute of this name is the file's own, and not the machine's: file
 * capabilities, access control lists, and what users and root set.
 */
bool xattrs_is_own(const char *name);

/* Whether overlayfs keeps its own notes in an attribute of this name. */
bool xattrs_is_overlay(const char *name);

#endif
