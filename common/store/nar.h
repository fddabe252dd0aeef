/*
 * nar: size and contents of a file tree as a Nix archive (NAR).
 *
 * Nix registers the size and the SHA-256 of a store path's NAR. A NAR contains names,
 * file contents, symlink targets and the owner's x bit of files, and nothing else (Nix
 * manual, "Nix Archive (NAR) format"). So its size can be computed without reading any
 * file:
 *
 *	if (nar_walk(path, NULL, &size, &e) < 0)
 *		die("%s", e.text);
 */
#ifndef DT_NAR_H
#define DT_NAR_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct tree;

/* The size of a tree that was not examined yet. */
#define NAR_UNKNOWN UINT64_MAX

/* Callbacks of nar_walk(). */
struct nar_visitor {
	/*
	 * Called for a regular file of `size` bytes at `path`. Returns 0, or -1 with the
	 * reason in `e`.
	 */
	int (*file)(void *arg, const char *path, uint64_t size, struct err *e);

	/* Called for each name below the top and for each symlink target. */
	void (*text)(void *arg, const char *text, size_t len);

	void *arg;
};

/*
 * Visits the tree at `path`, which is a directory, a file or a symlink. `v` may be NULL;
 * the order of calls is not defined. Returns 0 and the size of the tree's NAR. Returns -1
 * with the reason in `e` if a file is unreadable, has disappeared, or is a device, a
 * socket or a FIFO.
 */
int nar_walk(const char *path, const struct nar_visitor *v, uint64_t *size,
	     struct err *e);

/*
 * Calls bytes() with the pieces of the tree's NAR and reads the files on the way. The
 * tree must not contain devices or FIFOs. Ends the process with a message that names the
 * file if a file is unreadable or has changed since the scan. Returns a file for which
 * tree_is_touched() is true, or TREE_END.
 */
uint32_t nar_write(const struct tree *t,
		   void (*bytes)(void *arg, const void *data, size_t len), void *arg);

#endif
