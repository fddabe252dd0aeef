/*
 * tree: a file tree as the sorted list of what a layer holds of it.
 *
 * Entries are numbered; 0 is the root. The children of a directory have numbers in a row,
 * in the order of utf8_compare(); tree_next() visits all entries in the order of a
 * canonical tar: parents first, sorted name by name along the path. Memory is some 100
 * bytes and the name per entry, no matter how long the paths or the files are.
 */
#ifndef DT_TREE_H
#define DT_TREE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct digest;

enum { TREE_END = UINT32_MAX };

struct tree_entry {
	uint64_t size;         /* of a regular file, in bytes; of a device, its st_rdev */
	int64_t mtime;         /* in ns: has changed if the contents have */
	int64_t ctime;         /* in ns: has changed if anything has */
	uint64_t ino;          /* inode number; in an archive, where the contents begin */
	uint32_t mode;         /* st_mode */
	uint32_t name;         /* where its name begins in names.data */
	uint32_t link;         /* of a symlink: where its target begins in names.data */
	uint32_t parent;       /* TREE_END for the root */
	uint32_t first, count; /* of a directory: its children */
	uint32_t origin;       /* below which of the origins it lies on disk */
	uint32_t owner;        /* which of the owners it has, or TREE_END: any */
	bool is_implied; /* a directory whose attributes nobody chose: it is there for
			    what is in it */
};

/* A place on disk that was scanned, or an archive. */
struct tree_origin {
	char *path;
	uint32_t base; /* the entry that lies there; what is below it lies below */
	int archive;   /* its descriptor, which the tree closes; -1 for a place on disk */
};

/* What an entry has of its own, where a layer's style does not tell. */
struct tree_owner {
	uint64_t uid, gid;
	bool has_mtime;
	int64_t mtime; /* seconds since 1970, and */
	uint32_t nsec; /* nanoseconds after that */
	uint32_t
	    xattrs; /* where its pax records SCHILY.xattr.NAME begin in names.data, */
	uint32_t xattrs_len; /* and how long they are */
	uint64_t dev, ino;   /* of what has several names; ino is 0 if it has one */
};

struct tree {
	struct tree_entry *entry;
	size_t n, cap;
	struct buf names;
	struct tree_origin *origin;
	size_t n_origins, cap_origins;
	struct tree_owner *owner;
	size_t n_owners, cap_owners;
	int64_t newest;    /* the latest ctime of all entries, in ns since 1970 */
	uint64_t bytes;    /* the sizes of all regular files together */
	bool is_temporary; /* contents are in a temporary file: tree_digest() of the same
			      tree is another one the next time */
	bool
	    has_strangers; /* an owner that is not kept is neither root nor the caller: */
	uint64_t stranger_uid, stranger_gid;
};

void tree_release(struct tree *t);

/* A time of stat(2) in the unit of this module. */
int64_t tree_ns(struct timespec ts);

/* --- making a tree --- */

/* Adds a text; returns where it begins in names.data. */
uint32_t tree_add_text(struct tree *t, const char *s);

/* Adds a zeroed entry without an owner; what it returns is valid until the next one. */
struct tree_entry *tree_add_entry(struct tree *t, uint32_t parent);

/* Adds an origin; returns its number. */
uint32_t tree_add_origin(struct tree *t, const char *path, uint32_t base);

/* The same for an archive, whose contents are in `fd`, which the tree closes then. */
uint32_t tree_add_archive(struct tree *t, const char *path, int fd);

/* Gives entry `i` attributes of its own; `xattrs` are pax records and may be empty. */
void tree_set_owner(struct tree *t, uint32_t i, const struct tree_owner *owner,
		    const void *xattrs, size_t xattrs_len);

/* What tree_scan() does beyond listing; a zeroed struct is none of it. */
struct tree_scan {
	bool keep_owners; /* owner, group, xattrs_is_own(), which names are one file */
	bool no_devices;  /* devices and FIFOs end the process */

	/*
	 * Symlinks to directories become these directories, if they lie in the tree
	 * itself or in the store, whose place on this machine is `place`, and `store` its
	 * name in links. A link to a directory that it stands in stays a link.
	 */
	bool follow;
	const char *store, *place;
};

/*
 * Reads the tree at `path` on disk (a directory, a file or a symlink, which is not
 * followed) into the empty tree `t`. What is no directory, file or symlink goes in too;
 * sockets are left out with a warning. Ends the process if anything cannot be read.
 */
void tree_scan(struct tree *t, const char *path, const struct tree_scan *how);

enum tree_kind {
	TREE_AS_IS,
	TREE_COPY,  /* the same, but directories of mode 0555, as in a store, or 0755 are
		       only  there for what is in them */
	TREE_LINKS, /* leaves become symlinks into `as_links` */
	TREE_ENV,   /* so do leaves in a directory that another source of the same `env`
		       has,   too; other directories are copied */
};

/* One of the trees that tree_merge() lays over each other. */
struct tree_source {
	const struct tree *tree;
	uint32_t root;  /* the entry of it that is put there: in general 0, all of it */
	const char *at; /* where: a canonical path, "" for the root */
	bool is_moved;  /* `root` is a directory whose attributes do not count */
	const bool *is_left; /* by entry: leave it out; NULL: nothing */
	const bool *is_kept; /* by entry: a directory whose attributes somebody chose,
				whatever they are; NULL: none */
	enum tree_kind kind;
	const char *as_links; /* of TREE_LINKS and TREE_ENV: what the tree is called */
	unsigned env;
	char *const
	    *open; /* of TREE_ENV: canonical paths, NULL at the end; these directories,
		      and those above them, have links in them in any case */
	bool keeps_links; /* of TREE_ENV: a directory that no other source has becomes a
			     link, instead of a copy */
	const struct tree_owner *owner; /* of all its entries; NULL: as they are */
	const char *said_as;            /* how messages call it */
};

/*
 * Makes the union of the sources' trees: directories are merged, leaves stay or become
 * links. A symlink that would become one stays as it is, unless it is relative and leads
 * out of its source. Where two sources have a leaf of the same name, the first one wins,
 * and a warning names both unless they are the same link. A leaf against a directory ends
 * the process. A merged directory has the attributes that it has in the first source that
 * chose them, as 0755 without an owner of its own is not; if none did, it is implied,
 * with mode 0755. The root has an owner only if a source's is_kept says so.
 */
void tree_merge(struct tree *t, const struct tree_source *sources, size_t n);

/* --- reading a tree --- */

/* The entry of this canonical path, or TREE_END. */
uint32_t tree_find(const struct tree *t, const char *path);

/* The entry after `i` in canonical order, or TREE_END. */
uint32_t tree_next(const struct tree *t, uint32_t i);

/* The entry after `i` and all that is below it, or TREE_END. */
uint32_t tree_skip(const struct tree *t, uint32_t i);

/* Appends the path of entry `i` below the root: nothing for the root, "bin/sh". */
void tree_path(const struct tree *t, uint32_t i, struct buf *out);

/* Appends where entry `i` lies on disk. */
void tree_location(const struct tree *t, uint32_t i, struct buf *out);

/* Opens files of a tree one after the other; keeps the last directory open. */
struct tree_reader {
	int directory;
	uint32_t parent, origin; /* of which entry `directory` is the descriptor */
	struct buf path;
};

void tree_reader_init(struct tree_reader *r);
void tree_reader_release(struct tree_reader *r);

/* open(2) of a path of any length, which is changed. */
int tree_open_path(char *path, int flags);

/*
 * A descriptor of the regular file `i`, in which its contents begin at *offset, or -1 and
 * errno. Never follows a symlink. The caller closes it.
 */
int tree_open(struct tree_reader *r, const struct tree *t, uint32_t i, off_t *offset);

/*
 * Ends the process, naming the file, unless `fd` still is a regular file of the size and
 * mtime that entry `i` had in the scan, and `got`, how many bytes of it were read, is its
 * size. Returns whether it is another inode or its ctime is another one: either the file
 * has other contents and was given its old mtime, or the optimiser of a store gave it
 * another name. Only the contents can tell which. If the file lies in an archive, `fd` is
 * the archive, and the times are those of the archive.
 */
bool tree_is_touched(const struct tree *t, uint32_t i, int fd, uint64_t got);

/* Ends the process: the contents of file `i` are not those that they were. */
_Noreturn void tree_changed(const struct tree *t, uint32_t i);

/* Ends the process: errno is why entry `i` could not be opened or read. */
_Noreturn void tree_unreadable(const struct tree *t, uint32_t i);

/*
 * Adds to `d` all that tells whether the tree on disk is still the one that was scanned:
 * of every entry, name, mode, size, link target, mtime, ctime, inode number and
 * owner.
 */
void tree_digest(const struct tree *t, struct digest *d);

/*
 * Whether nothing in it was changed so lately that it could change again without its
 * times telling; what is not settled is not to be remembered by tree_digest().
 */
bool tree_is_settled(const struct tree *t);

#endif
