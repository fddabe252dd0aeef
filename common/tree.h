/*
 * tree: a file tree as the sorted list of what a layer holds of it. Level 3.
 *
 * Entries are numbered; 0 is the root. The children of a folder have numbers in a row,
 * in the order of utf8_compare(); tree_next() visits all entries in the order of a
 * canonical tar: parents first, sorted name by name along the path. Memory is some 70
 * bytes and the name per entry, no matter how long the paths or the files are.
 */
#ifndef DT_TREE_H
#define DT_TREE_H

#include "buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { TREE_END = UINT32_MAX };

struct tree_entry {
	uint64_t size;   /* of a regular file, in bytes; of a device, its st_rdev */
	int64_t mtime;   /* in ns: has changed if the contents have */
	uint64_t stamp;  /* inode number and ctime, folded: has changed if anything has */
	uint32_t mode;   /* st_mode */
	uint32_t name;   /* where its name begins in names.data */
	uint32_t link;   /* of a symlink: where its target begins in names.data */
	uint32_t parent; /* TREE_END for the root */
	uint32_t first, count; /* of a folder: its children */
	uint32_t origin;       /* below which of the origins it lies on disk */
};

struct tree {
	struct tree_entry *entry;
	size_t n, cap;
	struct buf names;
	char **origin; /* the paths on disk that were scanned */
	size_t n_origins;
	int64_t newest; /* the latest ctime of all entries, in ns since 1970 */
	uint64_t bytes; /* the sizes of all regular files together */
};

void tree_release(struct tree *t);

/*
 * Reads the tree at `path` on disk (a folder, a file or a symlink, which is not
 * followed) into the empty tree `t`. What is no folder, file or symlink goes in too;
 * sockets are left out with a warning. Ends the process if anything cannot be read.
 */
void tree_scan(struct tree *t, const char *path);

/* One of the trees that tree_merge() lays over each other. */
struct tree_source {
	const struct tree *tree;
	const char
	    *as_links; /* leaves become symlinks into this path; NULL: stay as they are */
	const char *said_as; /* how messages call it */
};

/*
 * Makes the union of the sources' trees: folders are merged, leaves stay or become
 * links. With as_links, a symlink of the source is taken over as it is, unless it is
 * relative and leads out of its source. Where two sources have a leaf of the same name,
 * the first one wins, and a warning names both unless they are the same link. A leaf
 * against a folder ends the process. Merged folders are the first source's, those of
 * as_links have mode 0755.
 */
void tree_merge(struct tree *t, const struct tree_source *sources, size_t n);

/* The entry after `i` in canonical order, or TREE_END. */
uint32_t tree_next(const struct tree *t, uint32_t i);

/* Appends the path of entry `i` below the root: nothing for the root, "bin/sh". */
void tree_path(const struct tree *t, uint32_t i, struct buf *out);

/* Appends where entry `i` lies on disk. */
void tree_location(const struct tree *t, uint32_t i, struct buf *out);

/* Opens files of a tree one after the other; keeps the last folder open. */
struct tree_reader {
	int folder;
	uint32_t parent, origin; /* of which entry `folder` is the descriptor */
	struct buf path;
};

void tree_reader_init(struct tree_reader *r);
void tree_reader_release(struct tree_reader *r);

/* A descriptor of the regular file `i`, or -1 and errno; never follows a symlink. */
int tree_open(struct tree_reader *r, const struct tree *t, uint32_t i);

#endif
