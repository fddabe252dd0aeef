/*
 * nar: what a file tree is as a Nix archive.
 *
 * The NAR of a tree holds names, contents, symlink targets and the owner's x bit of
 * files, and nothing else (Nix manual, "Nix Archive (NAR) format"). Nix registers its
 * length as a store path's narSize, which follows from the tree without reading the
 * files, and its SHA-256.
 */
#ifndef DT_NAR_H
#define DT_NAR_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct tree;

/* Stands for the size of a tree that nobody has looked at yet. */
#define NAR_UNKNOWN UINT64_MAX

/* Who wants to know what is in the tree; see nar_walk(). */
struct nar_visitor {
	/* A regular file of `size` bytes at `path`. Returns 0, or -1 and why. */
	int (*file)(void *arg, const char *path, uint64_t size, struct err *e);

	/* The name of a file below the top, or a symlink's target. */
	void (*text)(void *arg, const char *text, size_t len);

	void *arg;
};

/*
 * Walks the tree (a directory, a file or a symlink) at `path`, telling `v`, which may be
 * NULL, in no certain order. Returns 0 and the length of the tree's NAR, or -1 and why:
 * something is unreadable, vanished, or is a device, a socket or a FIFO.
 */
int nar_walk(const char *path, const struct nar_visitor *v, uint64_t *size,
	     struct err *e);

/*
 * Calls bytes() for the tree's NAR, piece by piece, reading its files as it gets to
 * them. There are no devices or FIFOs in it. Ends the process with a message that names
 * the file if one is unreadable or has changed since the tree was scanned. Returns a file
 * for which tree_is_touched(), or TREE_END.
 */
uint32_t nar_write(const struct tree *t,
		   void (*bytes)(void *arg, const void *data, size_t len), void *arg);

#endif
