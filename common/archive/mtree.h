/*
 * mtree: write an mtree(5) specification in libarchive's form, which includes the SHA-256
 * of each file.
 */
#ifndef DT_MTREE_H
#define DT_MTREE_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct mtree;
struct unpack_attributes;

/*
 * Starts a specification that is written to `fd`. The caller ends it with mtree_end().
 * Memory does not depend on the number of entries.
 */
struct mtree *mtree_new(int fd);

/*
 * Adds an entry with this path; "" is the root. `names` is the number of its hard links.
 * All `size` bytes of a file must follow with mtree_data(). Returns 0 or -1.
 *
 * The order is that of libarchive: a directory, then its files, then its directories,
 * each with its contents. Names are sorted by strcmp(3). The caller adds the entries in
 * this order.
 */
int mtree_add(struct mtree *l, const char *path, const struct unpack_attributes *a,
	      uint64_t size, uint32_t names, struct err *e);
int mtree_data(struct mtree *l, const void *data, size_t len, struct err *e);

/* Ends the specification and frees `l`. Returns 0 or -1. */
int mtree_end(struct mtree *l, struct err *e);

#endif
