/*
 * disks: what a virtual machine reads and writes.
 *
 * All are files without names: nothing is left of them when this process is gone.
 */
#ifndef DT_DISKS_H
#define DT_DISKS_H

#include "base/err.h"
#include "image/rootfs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct erofs;
struct job;
struct pool;

/* In the order in which the guest sees them. */
enum {
	DISK_BASE,    /* erofs: the image's tree */
	DISK_CHANGES, /* ext4, empty: what the script writes */
	DISK_LAYER,   /* zeroes: the layer's tar goes to its start; the job's own file */
	DISK_EXTRA, /* erofs: what is bound, in /binds, and laid over the image, in /tree
		     */
	N_DISKS
};

/* The layer's disk is sparse, and this long. */
#define DISKS_LAYER_MAX ((uint64_t)1 << 40)

/* A zeroed struct has no disks. */
struct disks {
	bool is_there;   /* fd[] is set: */
	int fd[N_DISKS]; /* or -1 */

	struct pool *filling; /* those of erofs */
	struct erofs *erofs[2];
	int result[2];
	struct err why[2];
	struct rootfs extra; /* the tree of DISK_EXTRA, and the tars that it is in: */
	int *spool;
	size_t n_spools;
};

/*
 * Makes the disks of erofs as long as they will be, and fills them, in other threads.
 * Returns 0, or -1 and why not; in either case the caller releases them.
 */
int disks_start(struct disks *d, const struct job *j, struct err *e);

/* Waits until they are filled. Returns 0, or -1 and why they are not. */
int disks_finish(struct disks *d, struct err *e);

/* Empties the two that are written to. What tools say goes to `log`. 0, or -1 and why. */
int disks_format(struct disks *d, const struct job *j, int log, struct err *e);

/* Frees all but the job's own file. */
void disks_release(struct disks *d);

#endif
