/*
 * xattrs: extended attributes of files, and their pax records.
 *
 * A layer stores an extended attribute as the pax record "LEN SCHILY.xattr.NAME=VALUE\n".
 * This module reads such records and the attributes of files on disk:
 *
 *	while (xattrs_next(&records, &len, &x))
 *		lsetxattr(path, x.name, x.value, x.len, 0);
 */
#ifndef DT_XATTRS_H
#define DT_XATTRS_H

#include <stdbool.h>
#include <stddef.h>

enum { XATTRS_NAME = 256 };

/* The start of the key of a record. */
#define XATTRS_KEY "SCHILY.xattr."

struct xattr {
	char name[XATTRS_NAME]; /* such as "user.x" */
	const char *value;      /* from xattrs_next(), points into the records */
	size_t len;
};

/*
 * Reads the next attribute from the *len bytes of records at *p, and advances both.
 * Returns false if there are no more attributes. Other records, and names that Linux does
 * not allow because they are too long or contain a NUL, are ignored.
 */
bool xattrs_next(const char **p, size_t *len, struct xattr *x);

/*
 * Calls each() for all attributes of the file or symlink `path`, sorted by name. Stops
 * when each() returns another value than 0, and returns that value. Returns 0 if all were
 * read or the file system has no attributes. Returns -1 with errno set if the attributes
 * cannot be read.
 */
int xattrs_read(const char *path, int (*each)(void *arg, const struct xattr *x),
		void *arg);

/*
 * Returns whether an attribute belongs to the file and should be part of a layer: file
 * capabilities, access control lists, and attributes that users or root set. Other
 * attributes depend on the machine.
 */
bool xattrs_is_own(const char *name);

/* Returns whether the attribute is internal data of overlayfs. */
bool xattrs_is_overlay(const char *name);

#endif
