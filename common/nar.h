/*
 * nar: what a file tree is as a Nix archive. Level 3.
 *
 * The NAR of a tree holds names, contents, symlink targets and the owner's x bit of
 * files, and nothing else; Nix registers its length as a store path's narSize. None is
 * ever written here: its length follows from the tree, without reading the files.
 */
#ifndef DT_NAR_H
#define DT_NAR_H

#include <stddef.h>
#include <stdint.h>

struct err;

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
 * Walks the tree (a folder, a file or a symlink) at `path`, telling `v`, which may be
 * NULL, in no certain order. Returns 0 and the length of the tree's NAR, or -1 and why:
 * something is unreadable, vanished, or is a device, a socket or a FIFO.
 */
int nar_walk(const char *path, const struct nar_visitor *v, uint64_t *size,
	     struct err *e);

#endif
