/*
 * tree: a sorted list of the files in a directory tree, with their metadata.
 *
 * Layers are made from these lists. A list comes from a scan of the disk, from an
 * archive, or from a merge of other lists. File contents stay where they are and are
 * opened by tree_open().
 *
 *	struct tree t = {0};
 *	tree_scan(&t, "/nix/store/HASH-NAME", NULL);
 *	for (uint32_t i = 0; i != TREE_END; i = tree_next(&t, i))
 *		...
 *
 * Entries are numbered, and 0 is the root. The children of a directory have consecutive
 * numbers, sorted by utf8_compare(). tree_next() visits entries in the order of a
 * canonical tar: a directory before its contents, and siblings by name. An entry needs
 * 44 bytes of memory and its name. Entries share the memory of equal owners.
 */
#ifndef DT_TREE_H
#define DT_TREE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

struct digest;

enum { TREE_END = UINT32_MAX };

/* The attribute saves 4 bytes, because there may be millions of entries. */
struct __attribute__((packed, aligned(4))) tree_entry {
	int64_t mtime; /* in ns */
	union {
		uint64_t state;  /* on disk: see tree_state() */
		uint64_t offset; /* in an archive: where the contents of a file start */
	};
	/* Which member is used depends on the type in `mode`. */
	union {
		uint64_t size; /* regular file: size in bytes; device: st_rdev */
		uint32_t link; /* symlink: offset of its target in names.data, or
				  TREE_END; see tree_link() */
		struct {
			uint32_t first, count; /* directory: its children */
		};
	};
	uint32_t name;   /* offset of its name in names.data */
	uint32_t parent; /* parent directory; TREE_END for the root */
	uint32_t origin; /* index in `origin`: where it is on disk */
	uint32_t owner;  /* index in `owner`, or TREE_END if it has none */
	uint16_t mode;   /* st_mode */
	bool is_implied; /* a directory that exists only for its contents: nobody chose
			    its owner and mode */
};

/* A scanned place on disk, or an archive. */
struct tree_origin {
	char *path;
	uint32_t base; /* the entry at this place; its descendants are below this place */
	/* Of a merged tree: `path` in the targets of its symlinks, or NULL. */
	char *as_links;
	int archive;   /* descriptor, closed by the tree; -1 for a place on disk */
	int64_t ctime; /* of the archive, in ns */
};

/* The owner of an entry, and other metadata that replaces the layer's style. */
struct tree_owner {
	uint64_t uid, gid;
	bool has_mtime;
	int64_t mtime; /* seconds since 1970 */
	uint32_t nsec; /* nanoseconds after `mtime` */
	/* Offset and length of its pax records SCHILY.xattr.NAME in names.data. */
	uint32_t xattrs;
	uint32_t xattrs_len;
	uint64_t dev, ino; /* of a file with several hard links, else ino is 0 */
};

struct tree {
	struct tree_entry *entry;
	size_t n, cap;
	struct buf names;
	struct tree_origin *origin;
	size_t n_origins, cap_origins;
	struct tree_owner *owner;
	size_t n_owners, cap_owners;
	int64_t newest;    /* the latest ctime of all entries in ns since 1970 */
	uint64_t bytes;    /* total size of all regular files */
	bool is_temporary; /* contents are in a temporary file, so tree_digest() differs
			      in the next run */
	/*
	 * An entry belongs neither to root nor to the caller. The next two fields are its
	 * owner.
	 */
	bool has_strangers;
	uint64_t stranger_uid, stranger_gid;
};

void tree_release(struct tree *t);

/* Converts a time of stat(2) to ns since 1970, or to the closest possible number. */
int64_t tree_ns(struct timespec ts);

/*
 * A hash of inode number and ctime. Another state means that somebody may have changed a
 * file without changing its mtime.
 */
uint64_t tree_state(const struct stat *st);

/* --- building a tree --- */

/* Adds a string and returns its offset in names.data. */
uint32_t tree_add_text(struct tree *t, const char *s);

/* Adds a zeroed entry without an owner. The pointer is valid until the next call. */
struct tree_entry *tree_add_entry(struct tree *t, uint32_t parent);

/* Adds a place on disk and returns its index. */
uint32_t tree_add_origin(struct tree *t, const char *path, uint32_t base);

/*
 * Adds an archive with contents in `fd`, which the tree closes, and its ctime in ns.
 * Returns its index.
 */
uint32_t tree_add_archive(struct tree *t, const char *path, int fd, int64_t ctime);

/*
 * Adds an owner of entries and returns its index. `xattrs` are pax records and may be
 * empty. If the owner is equal to the one that was added before, they are shared.
 */
uint32_t tree_add_owner(struct tree *t, const struct tree_owner *owner,
			const void *xattrs, size_t xattrs_len);

/* Options of tree_scan(). A zeroed struct is the default. */
struct tree_scan {
	bool keep_owners; /* keep owners, the attributes of xattrs_is_own(), and hard
			     links */
	bool no_devices;  /* devices and FIFOs are errors that end the process */

	/*
	 * Replace symlinks to directories by these directories, inside the scanned tree
	 * and inside the store. `store` is the path of the store in link targets, and
	 * `place` its path on this machine. A symlink to a directory that contains the
	 * symlink is kept. The path to scan must be absolute and without symlinks.
	 */
	bool follow;
	const char *store, *place;
};

/*
 * Scans `path`, which is a directory, a file or a symlink, into the empty tree `t`. A
 * symlink at `path` is not followed. Devices and FIFOs are included; sockets are left out
 * with a warning. `how` may be NULL. Ends the process if anything cannot be read.
 */
void tree_scan(struct tree *t, const char *path, const struct tree_scan *how);

enum tree_kind {
	TREE_AS_IS,
	TREE_COPY,  /* directories of mode 0555 or 0755 exist only for their contents,
		       because most directories of a store have these modes */
	TREE_LINKS, /* every file becomes a symlink into `as_links` */
	TREE_GROUP, /* files in a directory that several sources of the group have
		       become symlinks into `as_links`; a directory that only one source
		       of the group has is copied */
};

/* A source of tree_merge(). */
struct tree_source {
	const struct tree *tree;
	uint32_t root;  /* the entry that is merged, usually 0 for the complete tree */
	const char *at; /* its canonical path in the result, "" for the root */
	bool is_moved;  /* owner and mode of the directory `root` are ignored */
	const bool *is_left; /* for each entry: whether to leave it out; may be NULL */
	const bool *is_kept; /* for each entry: whether its owner and mode were chosen,
				whatever they are; may be NULL */
	enum tree_kind kind;
	/* Of TREE_LINKS and TREE_GROUP: path of the tree in link targets. */
	const char *as_links;
	unsigned group; /* of TREE_GROUP: sources with the same number belong together */
	/*
	 * For TREE_GROUP: canonical paths, ended by NULL. The directories at these paths
	 * and their parents always contain symlinks.
	 */
	char *const *open;
	bool keeps_links; /* of TREE_GROUP: a directory of only one source becomes a
			     symlink, not a copy */
	const struct tree_owner *owner; /* owner of all entries; NULL: keep owners */
	const char *said_as;            /* its name in messages */
};

/*
 * Merges the trees of the sources into the empty tree `t`. Directories are merged. All
 * other entries are leaves, which are kept or become symlinks:
 *
 * - A symlink of a TREE_LINKS source keeps its target, unless the target is relative and
 *   outside the source.
 * - If two sources have the same leaf, the first source wins. A warning names both
 *   sources, unless both leaves become the same symlink.
 * - If one source has a leaf and another has a directory, the process ends.
 *
 * A merged directory gets owner and mode from the first source that sets them on purpose.
 * Mode 0755 without extended attributes and owned by root does not count as set on
 * purpose; neither does mode 0555, except in a TREE_AS_IS source. The default is mode
 * 0755, with `is_implied`. The root has an owner only if `is_kept` of a source includes
 * it.
 */
void tree_merge(struct tree *t, const struct tree_source *sources, size_t n);

/*
 * Turns the tree of a source in place into what tree_merge() makes of it alone, which
 * saves the memory of a copy. The source must be a complete directory for the root of the
 * layer, but not of TREE_GROUP, without `is_left` and `owner`. `t` is its tree.
 */
void tree_merge_alone(struct tree *t, const struct tree_source *source);

/* --- reading a tree --- */

/* Returns the entry with this canonical path, or TREE_END. */
uint32_t tree_find(const struct tree *t, const char *path);

/* Returns the entry after `i` in canonical order, or TREE_END. */
uint32_t tree_next(const struct tree *t, uint32_t i);

/* Returns the entry after `i` and all its descendants, or TREE_END. */
uint32_t tree_skip(const struct tree *t, uint32_t i);

/*
 * Appends the path of entry `i` below the root, such as "bin/sh". The path of the root is
 * empty.
 */
void tree_path(const struct tree *t, uint32_t i, struct buf *out);

/*
 * The target of the symlink `i`. If it links to the place of its entry in a source of
 * tree_merge(), it is computed in `scratch`, because it would need more memory than all
 * else.
 */
const char *tree_link(const struct tree *t, uint32_t i, struct buf *scratch);

/* Appends the path of entry `i` on disk. */
void tree_location(const struct tree *t, uint32_t i, struct buf *out);

/*
 * Opens files of a tree one after the other. The directory of the last file stays open.
 */
struct tree_reader {
	int directory;
	uint32_t parent, origin; /* the entry that `directory` belongs to */
	struct buf path;
};

void tree_reader_init(struct tree_reader *r);

/* Afterwards it can be used again, also for another tree. */
void tree_reader_release(struct tree_reader *r);

/* open(2) for a path of any length. `path` is modified. */
int tree_open_path(char *path, int flags);

/*
 * Opens the regular file `i`. Returns a descriptor, in which the contents start at
 * *offset, or -1 with errno set. Never follows a symlink. The caller closes the
 * descriptor.
 */
int tree_open(struct tree_reader *r, const struct tree *t, uint32_t i, off_t *offset);

/*
 * Checks that file `i` did not change. `fd` must be a regular file with the size and
 * mtime of the scan, and `got`, the number of bytes read, must be its size. Otherwise the
 * process ends with a message that names the file.
 *
 * Returns true if tree_state() of the file changed, or the ctime of its archive. Either
 * the contents changed and the mtime was reset, or another hard link was made, as the
 * optimizer of a Nix store does. Only the contents show the difference.
 *
 * If the file is in an archive, `fd` is the archive, and the times are those of the
 * archive.
 */
bool tree_is_touched(const struct tree *t, uint32_t i, int fd, uint64_t got);

/* Ends the process with the message that file `i` changed. */
_Noreturn void tree_changed(const struct tree *t, uint32_t i);

/* Ends the process with errno as the reason why entry `i` cannot be read. */
_Noreturn void tree_unreadable(const struct tree *t, uint32_t i);

/*
 * Adds the state of the tree on disk to `d`: name, mode, size, link target, mtime, state
 * and owner of each entry; inode number, size and ctime of each archive. Equal digests
 * mean that the tree did not change.
 */
void tree_digest(const struct tree *t, struct digest *d);

/*
 * Returns whether the last change is old enough that a further change would get another
 * ctime. If it is not, the result of tree_digest() must not be stored in a cache.
 */
bool tree_is_settled(const struct tree *t);

#endif
