/*
 * hardlinks: find the first path of a file that has several hard links.
 *
 * An archive stores the contents of such a file once, and later paths as links to the
 * first one. This table maps the device and inode of a file to a number that the caller
 * chose for its first path:
 *
 *	if (hardlinks_first(&l, st.st_dev, st.st_ino, i) != i)
 *		...the file was seen before
 *
 * The process ends with a message if memory runs out.
 */
#ifndef DT_HARDLINKS_H
#define DT_HARDLINKS_H

#include <stddef.h>
#include <stdint.h>

/* A zeroed struct is an empty table. */
struct hardlinks {
	struct hardlinks_file *file; /* hash table with open addressing */
	size_t n, cap;
};

void hardlinks_release(struct hardlinks *l);

/*
 * Returns the `value` of the first call with this device and inode. If this is the first
 * call, `value` is stored and returned.
 */
size_t hardlinks_first(struct hardlinks *l, uint64_t dev, uint64_t ino, size_t value);

#endif
