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
 * root. A file with one name takes about 45 bytes and the name. If no other file has the
 * same owner, mode and time, it takes about 50 bytes more. File contents stay in the
 * layer's file. The number of nodes, the length of each path and the total memory are
 * bounded.
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

enum {
	ROOTFS_NONE = UINT32_MAX,
	ROOTFS_SPARSE = 0, /* index in rootfs.place */
};

/* The metadata that inodes share. Equal metadata is stored once. */
struct rootfs_common {
	uint64_t uid, gid;
	int64_t mtime;       /* seconds since 1970 */
	uint32_t nsec;       /* nanoseconds after `mtime` */
	uint32_t xattrs;     /* offset of the pax records SCHILY.xattr.NAME in rootfs.text
			      */
	uint32_t xattrs_len; /* their length in bytes */
	uint16_t mode;       /* as st_mode */
	uint16_t place;      /* of a regular file: index in rootfs.place */
};

/* With padding, an inode would need 24 bytes. There may be millions of inodes. */
#define ROOTFS_PACKED __attribute__((packed, aligned(4)))

/* 20 bytes. */
struct rootfs_inode {
	/* Which member is used depends on the type in `mode`. */
	union {
		struct ROOTFS_PACKED { /* regular file */
			uint64_t size; /* in bytes */
			/*
			 * Where its contents start: in blocks of TAR_BLOCK bytes after
			 * the start of its place. If it is on disk, its entry in the tree
			 * of the place.
			 */
			uint32_t block;
		};
		uint32_t link; /* symlink: offset of its target in rootfs.text */
		struct {       /* device */
			uint32_t major, minor;
		};
		struct {                /* directory */
			uint32_t child; /* its first child */
			/*
			 * The last layer that has it or an entry below it, the layer that
			 * set its owner, mode and times, and the last layer that hid the
			 * lower layers in it.
			 */
			uint16_t layer, attributes, opaque;
		};
	};
	uint32_t common; /* index in rootfs.common; 0 is that of an implied directory */
	uint32_t names;  /* number of nodes that have this inode */
};

/* 20 bytes. */
struct rootfs_node {
	uint32_t name;    /* offset in rootfs.text */
	uint32_t inode;   /* ROOTFS_NONE if the node is removed */
	uint32_t parent;  /* ROOTFS_NONE for the root */
	uint32_t sibling; /* the next child of `parent` */
	uint32_t chain;   /* the next node in the same bucket */
};

/* Where the contents of a layer's files are. */
struct rootfs_place {
	int fd;                   /* the file with its tar, or -1 */
	off_t start;              /* of the tar in `fd` */
	struct rootfs_disk *disk; /* of rootfs_add_disk(): the files on disk, or NULL */
};

/* rootfs_init() must initialize it; a zeroed struct is not an empty tree. */
struct rootfs {
	struct rootfs_node *node;
	size_t n, cap;
	struct rootfs_inode *inode;
	size_t n_inodes, cap_inodes;
	struct rootfs_common *common;
	size_t n_common, cap_common;
	uint32_t *common_slot; /* hash table of `common`: index + 1, or 0 if free */
	size_t n_common_slots;
	struct buf text;
	uint32_t *bucket; /* hash table of nodes, by parent and name */
	size_t n_buckets;
	uint16_t n_layers;
	uint32_t layer_start;       /* the first node that the last layer added */
	struct rootfs_place *place; /* by layer, which are numbered from 1; place
				       ROOTFS_SPARSE has the contents of sparse files */
	size_t cap_places;
	uint64_t path_bytes; /* sum of the lengths of all paths */
	size_t n_sorted;     /* set by rootfs_sort(): nodes that are not removed */
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
 * Sorts the children of each directory with utf8_compare(). Afterwards, a loop visits all
 * nodes, a directory before its contents:
 *
 *	for (uint32_t i = 0; i != ROOTFS_NONE; i = rootfs_next(r, i))
 */
void rootfs_sort(struct rootfs *r);

/* The node after this one in a sorted tree, or ROOTFS_NONE. */
uint32_t rootfs_next(const struct rootfs *r, uint32_t node);

/*
 * Adds the nodes of a sorted tree whose element in `wanted` is true to the sink, as the
 * entries of a rootfs tar (dt-image(5)). `wanted` is NULL for all nodes. The root and the
 * end-of-archive mark are not written. Exits with status 1 if contents cannot be read or
 * written.
 */
void rootfs_write(const struct rootfs *r, const bool *wanted, struct sink *s);

/*
 * Writes an mtree(5) specification of the same nodes to `fd`. Sorts the tree in another
 * order. Returns 0, or -1 and a reason.
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

/* The type and the permissions of a node, as st_mode. */
uint32_t rootfs_mode(const struct rootfs *r, uint32_t node);

const struct rootfs_common *rootfs_common(const struct rootfs *r,
					  const struct rootfs_inode *inode);

/* The size of a regular file, and the number of a device; 0 for other types. */
uint64_t rootfs_size(const struct rootfs *r, const struct rootfs_inode *inode);
dev_t rootfs_rdev(const struct rootfs *r, const struct rootfs_inode *inode);

#endif
