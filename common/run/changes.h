/*
 * changes: write the changes in an overlay as a layer.
 *
 * A script runs on top of an overlayfs mount. Afterwards its upper directory has the
 * changed files, and this module writes them as the tar of a layer:
 *
 *	struct changes p = {.upper = upper, .lower = lower, .out = fd};
 *	p.limit = INT64_MAX;
 *	if (changes_layer(&p, &e) == 0)
 *		size = p.size;
 *
 *   - Entries are sorted by path component, and a directory comes before its contents.
 *   - A removed file is written as .wh.NAME.
 *   - A directory that hides the lower one has an entry .wh..wh..opq.
 *   - A directory without changes in it is omitted.
 *
 * The module is also used in dt-vmrun's guest, so it needs no libraries.
 *
 * Specifications: OCI image specification, layer.md, "Representing Changes"; Linux,
 * Documentation/filesystems/overlayfs.rst.
 */
#ifndef DT_CHANGES_H
#define DT_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

struct err;

struct changes {
	int upper, lower; /* directories: the upper one, and the lower one or -1 */
	int out;          /* a file or disk filled with zeroes */
	bool is_direct;   /* large files are read with O_DIRECT */
	int64_t mtime;    /* seconds since 1970; later times become this */
	uint64_t limit;   /* for `size` */
	uint64_t size;    /* set by changes_layer(): the tar's length in bytes */
};

/* Writes the layer. Needs /proc. Returns 0, or -1 and a reason. */
int changes_layer(struct changes *p, struct err *e);

#endif
