/*
 * operand: turn the operands of a command line into store paths, and complete their
 * sizes.
 *
 * A user names a store path directly, by a file in it or by a symlink such as ./result. A
 * configuration file mentions store paths anywhere in its text:
 *
 *	if (operand_root(&store, "./result", &path, &e) < 0)
 *		die("%s", e.text);
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
 * Sets `path` to the store path that contains the file `operand`, after symlinks such as
 * ./result are followed. If the directory of the store is not known yet, it is taken from
 * the path. Returns 0, or -1 with the reason in `e`.
 */
int operand_root(struct store *s, const char *operand, struct buf *path, struct err *e);

/*
 * Adds the HASH-NAME of each store path that the contents of `fd` mention to `bases`. The
 * contents may be binary. The name may include characters that follow it in the text.
 * Sets *empty to whether `fd` has no data. Returns 0, or -1 with errno set.
 */
int operand_mentions(const struct store *s, int fd, struct strset *bases, bool *empty);

/*
 * Returns, for each node of `g`, whether `file` mentions it. A mention is compared by its
 * hash, because its name may include more characters. The caller frees the array. Returns
 * NULL with the reason in `e` on failure.
 */
bool *operand_mentioned(const struct graph *g, const struct store *s, const char *file,
			struct err *e);

/*
 * Computes the sizes that are NAR_UNKNOWN from the files on disk, except for nodes with
 * skip[number]. `skip` may be NULL. Returns 0, or -1 with the reason in `e`.
 */
int operand_sizes(struct graph *g, const bool *skip, const struct store *s,
		  struct err *e);

#endif
