/*
 * rootfs: the file tree that the layers of an image make together.
 *
 * Layers are laid over each other as the OCI image specification says (layer.md,
 * "Applying Changesets"), and, where it is silent, as overlayfs does:
 *
 *   - A whiteout hides what lower layers brought, wherever in its layer it stands, and so
 *     does the opaque marker for a directory. What the same layer brings stays.
 *   - Directories that are only named by what is in them are there too: mode 0755, owner
 *     0:0, time 0.
 *   - Names are made canonical by their text: no "." or "..", no slash in front.
 *   - What stands below something that is no directory makes it a directory; if it was a
 *     symlink, a warning says so. Nothing ever goes through a symlink.
 *   - A hard link is another name of what its target is at that moment.
 *
 * Nodes are names, inodes what is behind them; both are numbered, and node 0 is the
 * root. Memory is some 200 bytes and the name for each name in the layers; contents stay
 * where they are. The number of names, the length of each path and the memory for all of
 * them are bounded.
 */
#ifndef DT_ROOTFS_H
#define DT_ROOTFS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct sink;

enum { ROOTFS_NONE = UINT32_MAX };

struct rootfs_inode {
	uint64_t size; /* of a regular file, in bytes */
	off_t offset;  /* where its contents begin in `fd` */
	int fd;
	uint32_t mode; /* st_mode */
	uint64_t uid, gid;
	int64_t mtime; /* seconds since 1970, and */
	uint32_t nsec; /* nanoseconds after that */
	uint32_t major, minor;
	uint32_t names;    /* how many nodes it has */
	size_t link;       /* of a symlink: where its target begins in rootfs.text */
	size_t xattrs;     /* where its pax records SCHILY.xattr.NAME begin there, */
	size_t xattrs_len; /* and how long they are */
};

struct rootfs_node {
	size_t name; /* where it begins in rootfs.text */
	uint32_t inode;
	uint32_t parent;         /* ROOTFS_NONE for the root */
	uint32_t child, sibling; /* lists of children, in no order */
	uint32_t chain;          /* the next node in the same bucket */
	uint32_t layer;          /* the last one that brought it, or something in it */
	uint32_t attributes;     /* the one that its attributes are from */
	uint32_t opaque;         /* the one that hid all of the lower layers in it */
	uint16_t path_len;       /* of rootfs_path() */
	bool is_gone; /* hidden or replaced; it is in no list and has no names */
};

/* A zeroed struct is not a tree yet: see rootfs_init(). */
struct rootfs {
	struct rootfs_node *node;
	size_t n, cap;
	struct rootfs_inode *inode;
	size_t n_inodes, cap_inodes;
	struct buf text;
	uint32_t *bucket; /* of nodes, by parent and name */
	size_t n_buckets;
	uint32_t n_layers;
	uint64_t path_bytes; /* the sum of all path_len */
	int spool;           /* holds the contents of sparse files, or -1 */
	uint32_t *order;     /* from rootfs_sort(): */
	size_t n_order;      /* all nodes but those that are gone */
};

/* Makes `r` an empty tree: a root without anything in it. */
void rootfs_init(struct rootfs *r);
void rootfs_release(struct rootfs *r);

/*
 * Lays the layer on top whose uncompressed tar is `size` bytes of `fd`, from `offset` on;
 * `fd` must stay open as long as contents are to be read. `what` names the layer in
 * messages. Returns 0, or -1 and why not.
 */
int rootfs_add_layer(struct rootfs *r, int fd, off_t offset, uint64_t size,
		     const char *what, struct err *e);

/*
 * The same for a rootfs tar: it is not a layer, so a whiteout is an error, and so is a
 * missing end-of-archive mark.
 */
int rootfs_add_tar(struct rootfs *r, int fd, uint64_t size, const char *what,
		   struct err *e);

/*
 * Lists all nodes in `order`: sorted name by name along the path (utf8_compare()), a
 * directory before what is in it. The root comes first.
 */
void rootfs_sort(struct rootfs *r);

/*
 * Adds the members of the nodes in `order` that are `wanted`, by node, to the sink, as a
 * rootfs tar has them (dt-image(5)); all but the end of the archive, and but for the
 * root. Ends the process if contents cannot be read or written.
 */
void rootfs_write(const struct rootfs *r, const bool *wanted, struct sink *s);

/* Appends an mtree specification of them. Returns 0, or -1 and why not. */
int rootfs_list(const struct rootfs *r, const bool *wanted, struct buf *out,
		struct err *e);

/* The node of this path, which is made canonical; ROOTFS_NONE if there is none. */
uint32_t rootfs_find(const struct rootfs *r, const char *path);

/* The node of this name in a directory, or ROOTFS_NONE. */
uint32_t rootfs_child(const struct rootfs *r, uint32_t parent, const char *name,
		      size_t len);

/*
 * The same as rootfs_find(), but symlinks on the way and at the end are followed, inside
 * of the tree; ROOTFS_NONE if that leads to nothing or round in a circle.
 */
uint32_t rootfs_follow(const struct rootfs *r, const char *path);

/* Appends the node's path: nothing for the root, "bin/sh" without a slash in front. */
void rootfs_path(const struct rootfs *r, uint32_t node, struct buf *out);

/* The inode of a node. */
const struct rootfs_inode *rootfs_inode(const struct rootfs *r, uint32_t node);

#endif
