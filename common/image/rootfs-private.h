/*
 * rootfs-private: how the parts of rootfs change a tree.
 *
 * A layer, a directory of this machine and a mount point are added entry by entry, under
 * the same rules. An addition is one layer, which rootfs_begin_layer() begins.
 */
#ifndef DT_ROOTFS_PRIVATE_H
#define DT_ROOTFS_PRIVATE_H

#include "image/rootfs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum { ROOTFS_IMPLIED = 0 }; /* index in rootfs.common */

/* A path at which something is added. */
struct rootfs_addition {
	struct rootfs *r;
	const char *what; /* the layer's name in messages */
	struct buf path;  /* canonical */
};

/*
 * Begins the next layer, whose contents are at `place`. Returns 0, or -1 and a reason.
 */
int rootfs_begin_layer(struct rootfs_addition *a, const struct rootfs_place *place,
		       struct err *e);

/*
 * Limits the memory and disk that a small archive can make the process use. `target` is
 * that of a link, or NULL. Returns 0, or -1 and a reason.
 */
int rootfs_check_bounds(const struct rootfs_addition *a, const char *target,
			struct err *e);

/*
 * Makes the directories above a->path. Sets *base to the last component of the path.
 * Returns the parent.
 */
uint32_t rootfs_make_parents(struct rootfs_addition *a, const char **base);

/* Does the same, and removes what is at a->path. */
uint32_t rootfs_make_room(struct rootfs_addition *a, const char **base);

/*
 * Adds a copy of the inode at a->path. It replaces owner, mode and times of a directory
 * if both are directories, and anything else with its contents. Returns 0, or -1 and a
 * reason.
 */
int rootfs_put(struct rootfs_addition *a, const struct rootfs_inode *inode,
	       struct err *e);

/* Adds bytes and a NUL to r->text. Returns their offset. */
uint32_t rootfs_add_text(struct rootfs *r, const void *text, size_t len);

/*
 * Returns the index in r->common of a copy of `common` with these pax records. Equal
 * copies are shared.
 */
uint32_t rootfs_add_common(struct rootfs *r, const struct rootfs_common *common,
			   const void *xattrs, size_t xattrs_len);

/*
 * Adds a node of an inode to a directory that has no node of this name. The name is a
 * component of a->path.
 */
uint32_t rootfs_add_node(struct rootfs_addition *a, uint32_t parent, const char *name,
			 size_t len, uint32_t inode);

/* The last component of the node's path; "" for the root. */
const char *rootfs_name(const struct rootfs *r, uint32_t node);

/*
 * The first child, or the next child of the same directory, that is not removed. Unlinks
 * removed ones from the list. Returns ROOTFS_NONE if there is none.
 */
uint32_t rootfs_first_child(struct rootfs *r, uint32_t node);
uint32_t rootfs_next_sibling(struct rootfs *r, uint32_t node);

bool rootfs_is_directory(const struct rootfs *r, uint32_t node);
bool rootfs_is_removed(const struct rootfs *r, uint32_t node);

/* Whether the current layer has the node or an entry below it. */
bool rootfs_is_touched(const struct rootfs *r, uint32_t node);

/* The node of a canonical path, or ROOTFS_NONE. */
uint32_t rootfs_find_clean(const struct rootfs *r, const char *path);

/* Removes a node and everything below it. */
void rootfs_remove(struct rootfs *r, uint32_t top);

/* Makes a directory one without an entry, unless the current layer has its entry. */
void rootfs_forget(struct rootfs *r, uint32_t node);

/* Removes the contents that lower layers have in a directory. */
void rootfs_hide_lower(struct rootfs *r, uint32_t top);

/* Sorts the children of each directory in the order of mtree_add(). */
void rootfs_sort_list(struct rootfs *r);

void rootfs_release_disks(struct rootfs *r);

#endif
