/*
 * changes: what was changed in an overlay, as the tar of a layer.
 *
 * Reads the upper side of an overlayfs (Linux, Documentation/filesystems/overlayfs.rst)
 * and writes a layer (OCI image specification, layer.md, "Representing Changes") by the
 * canonical writer: sorted name by name, a directory before what is in it; what is gone
 * as .wh.NAME, a directory that hides what was below as .wh..wh..opq. A directory that is
 * as it was and has nothing new in it is left out. Used in the guest of dt-vmrun too,
 * where there are no libraries.
 */
#ifndef DT_CHANGES_H
#define DT_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

struct err;

struct changes {
	int upper, lower; /* directories: the upper side, and what it lies over */
	int out; /* a file or a disk that holds nothing but zeroes, written from its start
		  */
	bool is_direct;   /* large files are read past the page cache */
	const char *name; /* not an overlay: just this name in `upper`, */
	const char *as;   /* with this path in the tar; else NULL */
	int64_t mtime;    /* seconds since 1970; what is later becomes this */
	uint64_t limit;   /* of `size` */
	uint64_t size;    /* is set: the tar's length in bytes */
};

/* Writes the layer. Needs /proc. Returns 0, or -1 and why not. */
int changes_layer(struct changes *p, struct err *e);

#endif
