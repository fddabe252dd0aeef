/*
 * draft: files that are complete or not there.
 *
 * A file is written under another name, the draft, and gets its own name by rename(2)
 * once it is complete. Until then an older file of that name stays as it is.
 *
 *	struct draft d;
 *	if (draft_open(&d, file, 0666, NULL) < 0)
 *		...
 *	bool ok = io_write(d.fd, data, len) == 0;
 *	if (draft_close(&d, ok) < 0)
 *		...
 *
 * A draft is removed if the process ends by die(), in whatever thread, or by a signal
 * that can be caught. Its writer holds a lock on it, so draft_sweep() can tell those that
 * a killed process left behind.
 */
#ifndef DT_DRAFT_H
#define DT_DRAFT_H

#include <stdbool.h>
#include <sys/types.h>

struct draft {
	int fd;     /* to write to */
	char *name; /* of the draft */
	char *file; /* the name that the file will have */
	int slot;   /* private */
};

/*
 * Begins a new file of this mode, less the umask. The draft is made in the directory
 * `dir` of the same file system, or if that is NULL, in the directory of `file`. Returns
 * 0, or -1 with errno set.
 */
int draft_open(struct draft *d, const char *file, mode_t mode, const char *dir);

/*
 * Ends the draft: gives the file its name if `ok` is true, removes the draft if it is
 * false or if that fails. Returns 0 if the file is there, else -1 with errno set (where
 * `ok` was false, as it was).
 */
int draft_close(struct draft *d, bool ok);

/* Removes from a directory the drafts whose writers are dead. Safe at any time. */
void draft_sweep(const char *dir);

#endif
