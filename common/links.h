/*
 * links: which files of several names were seen already. Level 2.
 */
#ifndef DT_LINKS_H
#define DT_LINKS_H

#include <stddef.h>
#include <stdint.h>

/* A zeroed struct has seen none. */
struct links {
	struct links_file *file; /* open addressing */
	size_t n, cap;
};

void links_release(struct links *l);

/*
 * What was given for the file of this device and inode when it was seen first: that is
 * `value` if it is now.
 */
size_t links_first(struct links *l, uint64_t dev, uint64_t ino, size_t value);

#endif
