/*
 * operand: which store paths are meant, and what is missing of them.
 */
#ifndef DT_OPERAND_H
#define DT_OPERAND_H

#include <stdbool.h>

struct buf;
struct err;
struct graph;
struct strset;
struct store;

/*
 * Sets `path` to the store path that the file name `operand` is, is inside of, or leads
 * to by way of symlinks (./result). A store whose `dir` is not known yet is taken to be
 * that of the path. Returns 0, or -1 and why it is none.
 */
int operand_root(struct store *s, const char *operand, struct buf *path, struct err *e);

/*
 * Adds to `bases` the HASH-NAME of each store path mentioned in all of `fd`, whatever
 * bytes those are; the name may run on into what follows it. Sets *empty if there are
 * none to read. Returns 0, or -1 with errno set.
 */
int operand_mentions(const struct store *s, int fd, struct strset *bases, bool *empty);

/*
 * Which nodes of `g` are mentioned in `file`; an array that the caller frees, or NULL and
 * why. A mention counts by its hash, since its name may run on.
 */
bool *operand_mentioned(const struct graph *g, const struct store *s, const char *file,
			struct err *e);

/*
 * Finds the sizes that are NAR_UNKNOWN on disk, but for nodes with skip[number]; `skip`
 * may be NULL. Returns 0, or -1 and why.
 */
int operand_sizes(struct graph *g, const bool *skip, const struct store *s,
		  struct err *e);

#endif
