/*
 * tree-private: the entries of sources that tree_merge() merges.
 */
#ifndef DT_TREE_PRIVATE_H
#define DT_TREE_PRIVATE_H

#include "tree/tree.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * An entry of a source that will be part of a merged directory. If the source's `at` is
 * below the root, it can also be a parent directory of `at`.
 */
struct tree_candidate {
	const struct tree_source *source;
	const char *name;
	uint32_t entry; /* TREE_END: a parent directory of `at` */
	bool is_copied; /* of TREE_GROUP: inside a directory that is copied */
};

/* The entry, or one with mode 0755 for a parent directory of `at`. */
const struct tree_entry *tree_candidate_entry(const struct tree_candidate *c);

/* Returns whether leaves of the candidate become symlinks. */
bool tree_candidate_is_linked(const struct tree_candidate *c);

/*
 * The target that a leaf keeps when it becomes a symlink, or NULL if it links to the
 * leaf. A symlink of TREE_LINKS keeps its own target if the target works here too, as
 * with lndir(1).
 */
const char *tree_candidate_target(const struct tree_candidate *c);

/* Appends the target of the symlink that replaces a leaf. */
void tree_candidate_link(const struct tree_candidate *c, struct buf *out);

/* Appends the path of entry `i` of a source as it is in the targets of symlinks. */
void tree_candidate_path(const struct tree_source *source, uint32_t i, struct buf *out);

/* Returns whether owner and mode of a directory were set on purpose. */
bool tree_candidate_is_chosen(const struct tree_candidate *c);

#endif
