/*
 * hardlinks: which files of several names were seen already.
 */
#ifndef DT_HARDLINKS_H
#define DT_HARDLINKS_H

#include <stddef.h>
#include <stdint.h>

/* A zeroed struct has seen none. */
struct hardlinks {
	struct hardlinks_file *file; /* open addressing */
	size_t n, cap;
};

void hardlinks_release(struct hardlinks *l);

/*
 * What was given for the file of this device and inode when it was seen first: that is
 * `value` if it is now.
 */
size_t hardlinks_first(struct hardlinks *l, uint64_t dev, uint64_t ino, size_t value);

#endif
