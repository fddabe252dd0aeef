/*
 * rootfs: the file tree that the layers of an image make together.
 *
 * The layers are applied in order, the bottom layer first. Only their headers are kept in
 * memory:
 *
 *	rootfs_init(&r);
 *	for (size_t i = 0; i < n; i++)
 *		result = rootfs_add_layer(&r, fd[i], 0, size[i], name[i], &e);
 *
 * Specification: OCI image specification, layer.md, "Applying Changesets". Where it is
 * silent, overlayfs is followed:
 *
 *   - A whiteout hides the entry of lower layers, wherever it is in its own layer. An
 *     opaque marker does the same for the contents of a directory. Entries of the same
 *     layer stay.
 *   - A directory that only occurs in the paths of other entries is created: mode 0755,
 *     owner 0:0, time 0.
 *   - Paths are made canonical as text: without ".", ".." and a leading slash.
 *   - If an entry is below something that is not a directory, a directory replaces that.
 *     A warning is printed if it was a symlink. Symlinks are never followed.
 *   - A hard link refers to the inode that its target has at that moment.
 *
 * A node is a path, and an inode is the file behind it. Both are numbered; node 0 is the
 * root. A file with one name takes about 100 bytes and the name. File contents stay in
 * the layer's file. The number of nodes, the length of each path and the total memory are
 *bounded.
 *
 * A directory of this machine can be added, too. Its files are read where they are.
 */
#ifndef DT_ROOTFS_H
#define DT_ROOTFS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct rootfs_disk;
struct sink;

enum { ROOTFS_NONE = UINT32_MAX };

struct rootfs_inode {
	/* Which member is used depends on the type in `mode`. */
	union {
		struct {               /* regular file */
			uint64_t size; /* in bytes */
			off_t offset;  /* of the contents in `fd` */
		};
		uint32_t link; /* symlink: offset of its target in rootfs.text */
		struct {       /* device */
			uint32_t major, minor;
		};
	};
	int64_t mtime;  /* seconds since 1970 */
	uint32_t nsec;  /* nanoseconds after `mtime` */
	uint32_t mode;  /* as st_mode */
	uint32_t owner; /* index in rootfs.owner; 0 is root without extended attributes */
	uint32_t names; /* number of nodes that have this inode */
	int fd;        /* -1 if there are no contents, or if they are in a file on disk */
	uint32_t disk; /* of a file on disk: its number in rootfs.disk, plus 1; `offset`
			  is its number there */
};

/* The owner of inodes, and their extended attributes. */
struct rootfs_owner {
	uint64_t uid, gid;
	uint32_t xattrs;     /* offset of the pax records SCHILY.xattr.NAME in rootfs.text
			      */
	uint32_t xattrs_len; /* their length in bytes */
};

struct rootfs_node {
	uint32_t name; /* offset in rootfs.text */
	uint32_t inode;
	uint32_t parent;         /* ROOTFS_NONE for the root */
	uint32_t child, sibling; /* linked list of the children, unsorted */
	uint32_t chain;          /* the next node in the same bucket */
	uint32_t layer;          /* the last layer that has it or an entry below it */
	uint32_t attributes;     /* the layer that set its owner, mode and times */
	uint32_t opaque;         /* the last layer that hid the lower ones in it */
	uint16_t path_len;       /* length of rootfs_path() */
	bool is_gone; /* removed: it is in no list and not counted in `names` */
};

/* rootfs_init() must initialize it; a zeroed struct is not an empty tree. */
struct rootfs {
	struct rootfs_node *node;
	size_t n, cap;
	struct rootfs_inode *inode;
	size_t n_inodes, cap_inodes;
	struct rootfs_owner *owner;
	size_t n_owners, cap_owners;
	struct buf text;
	uint32_t *bucket; /* hash table of nodes, by parent and name */
	size_t n_buckets;
	uint32_t n_layers;
	uint64_t path_bytes;      /* sum of all path_len */
	int spool;                /* a file with the contents of sparse files, or -1 */
	struct rootfs_disk *disk; /* the places on disk that were added */
	size_t n_disks, cap_disks;
	uint32_t *order; /* set by rootfs_sort() */
	size_t n_order;  /* all nodes but the removed ones */
};

/* Makes `r` a tree that consists of the root directory. */
void rootfs_init(struct rootfs *r);
void rootfs_release(struct rootfs *r);

/*
 * Applies a layer. Its uncompressed tar is `size` bytes of `fd` at `offset`. `fd` must
 * stay open as long as file contents are read. `what` names the layer in messages.
 * Returns 0, or -1 and a reason.
 */
int rootfs_add_layer(struct rootfs *r, int fd, off_t offset, uint64_t size,
		     const char *what, struct err *e);

/*
 * Adds a rootfs tar, which is not a layer. So it must not have whiteouts, and it must
 * have an end-of-archive mark. Otherwise as rootfs_add_layer().
 */
int rootfs_add_tar(struct rootfs *r, int fd, uint64_t size, const char *what,
		   struct err *e);

/*
 * Adds the file or directory `path` of this machine as `as`. Owners, modes, times, hard
 * links and the attributes of xattrs_is_own() are kept. A name that begins with ".wh." is
 * a name like any other. Sockets are left out with a warning. Contents are read by
 * rootfs_open(). Returns 0, or -1 and a reason. Ends the process if anything cannot be
 * read.
 */
int rootfs_add_disk(struct rootfs *r, const char *path, const char *as, struct err *e);

/*
 * Adds an empty file or directory that belongs to root and has the time 0. `mode` is an
 * st_mode. Returns 0, or -1 and a reason.
 */
int rootfs_add_empty(struct rootfs *r, const char *path, uint32_t mode, struct err *e);

/*
 * Opens the contents of a regular file, wherever they are. They start at *offset. Only
 * one thread may use the tree's files on disk. Ends the process if such a file cannot be
 * opened.
 */
int rootfs_open(const struct rootfs *r, const struct rootfs_inode *inode, off_t *offset);

/*
 * Closes what rootfs_open() returned, unless it belongs to a layer. `n` is the number of
 * bytes that were read, or -1. Ends the process if a file on disk was not read completely
 * or has changed since it was added.
 */
void rootfs_close(const struct rootfs *r, const struct rootfs_inode *inode, int fd,
		  int64_t n);

/*
 * Lists all nodes in `order`. Paths are sorted by component with utf8_compare(), and a
 * directory comes before its contents. The root is first.
 */
void rootfs_sort(struct rootfs *r);

/*
 * Adds the nodes of `order` whose element in `wanted` is true to the sink, as the entries
 * of a rootfs tar (dt-image(5)). The root and the end-of-archive mark are not written.
 * Exits with status 1 if contents cannot be read or written.
 */
void rootfs_write(const struct rootfs *r, const bool *wanted, struct sink *s);

/*
 * Writes an mtree(5) specification of the same nodes to `fd`, and sorts `order` as it
 * lists them. Returns 0, or -1 and a reason.
 */
int rootfs_list(struct rootfs *r, const bool *wanted, int fd, struct err *e);

/* The node of a path, which need not be canonical; ROOTFS_NONE if there is none. */
uint32_t rootfs_find(const struct rootfs *r, const char *path);

/* The node of this name in a directory, or ROOTFS_NONE. */
uint32_t rootfs_child(const struct rootfs *r, uint32_t parent, const char *name,
		      size_t len);

/*
 * Finds a node like rootfs_find(), but follows symlinks in all components. Absolute
 * targets start at the root of the tree. Returns ROOTFS_NONE if the target does not
 * exist, or if there are too many symlinks.
 */
uint32_t rootfs_follow(const struct rootfs *r, const char *path);

/* Appends the node's path without a leading slash: "bin/sh", or "" for the root. */
void rootfs_path(const struct rootfs *r, uint32_t node, struct buf *out);

const struct rootfs_inode *rootfs_inode(const struct rootfs *r, uint32_t node);

const struct rootfs_owner *rootfs_owner(const struct rootfs *r,
					const struct rootfs_inode *inode);

/* The size of a regular file, and the number of a device; 0 for other types. */
uint64_t rootfs_size(const struct rootfs_inode *inode);
dev_t rootfs_rdev(const struct rootfs_inode *inode);

#endif
