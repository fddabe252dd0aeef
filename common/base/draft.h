/*
 * draft: write a file so that readers see it complete or not at all.
 *
 * The data goes into a temporary file, the draft. rename(2) gives the draft its final
 * name once it is complete. Until then an older file of that name stays unchanged.
 *
 *	struct draft d;
 *	if (draft_open(&d, file, 0666, NULL) < 0)
 *		...
 *	bool ok = io_write(d.fd, data, len) == 0;
 *	if (draft_close(&d, ok) < 0)
 *		...
 *
 * A draft is removed if any thread calls die(), or if a signal that can be caught ends
 * the process. The writer holds a flock(2) lock on its draft. So draft_sweep() can find
 * drafts that a killed process left.
 */
#ifndef DT_DRAFT_H
#define DT_DRAFT_H

#include <stdbool.h>
#include <sys/types.h>

struct draft {
	int fd;     /* open for writing */
	char *name; /* name of the draft */
	char *file; /* final name of the file */
	int slot;   /* private */
	bool is_entrusted;
};

/*
 * Creates a draft for `file` with this mode, reduced by the umask. The draft is created
 * in `dir`, which must be on the same file system. If `dir` is NULL, it is created in the
 * directory of `file`. Returns 0, or -1 with errno set.
 */
int draft_open(struct draft *d, const char *file, mode_t mode, const char *dir);

/*
 * Closes the draft. If `ok` is true, the draft is renamed to its final name. If `ok` is
 * false or the rename fails, the draft is removed. Returns 0 if the file exists now, else
 * -1 with errno set. errno does not change if `ok` was false.
 */
int draft_close(struct draft *d, bool ok);

/*
 * Leaves the last step of one draft to the broker, which must be started afterwards.
 * draft_close() then asks the broker for the rename. The broker calls draft_complete(),
 * which returns 0, or -1 with errno set, and in the end draft_discard(). That removes the
 * draft unless it is complete.
 */
void draft_entrust(struct draft *d);
int draft_complete(void);
void draft_discard(void);

/*
 * Removes the drafts in a directory whose writers no longer run. May be called at any
 * time.
 */
void draft_sweep(const char *dir);

#endif
