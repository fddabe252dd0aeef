/*
 * disks: make the disks of dt-vmrun's virtual machine.
 *
 * All disks are unnamed files, so the kernel removes them when the process exits. The
 * erofs disks are filled by other threads while the guest boots:
 *
 *	if (disks_start(&d, job, &e) == 0 && disks_empty(&d, &e) == 0)
 *		start_guest(d.fd);
 *	if (disks_format(&d, job, log, &e) == 0 && disks_finish(&d, &e) == 0)
 *		tell_guest_to_mount();
 *	disks_release(&d);
 *
 * The process ends if a file of this machine cannot be read or changes in the meantime.
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

/* The disks, in the order in which the guest sees them. */
enum {
	DISK_BASE,    /* erofs: the image's tree */
	DISK_CHANGES, /* ext4, empty: the overlay's upper directory */
	DISK_LAYER, /* the settings at DISKS_SETTINGS; the tar of the layer is written to
		       its start; the job's file */
	DISK_EXTRA, /* erofs: --bind directories in /binds, --tree in /tree */
	N_DISKS
};

/*
 * All disks have the same size in bytes, whatever they contain, because a guest that
 * continues from a saved state knows the sizes already. The files are sparse.
 */
#define DISKS_SIZE (DISKS_SETTINGS + DISKS_SETTINGS_MAX)

/*
 * The layer's disk has space for a tar of DISKS_SETTINGS bytes. The job's settings for
 * the guest follow: strings "KEY=VALUE", each followed by a NUL, an empty string, and the
 * script.
 */
#define DISKS_SETTINGS ((uint64_t)1 << 40)
#define DISKS_SETTINGS_MAX ((uint64_t)32 << 20)

/* A zeroed struct has no disks. */
struct disks {
	bool is_there;   /* fd[] is valid */
	int fd[N_DISKS]; /* descriptors, or -1 */
	size_t settings; /* size of the settings in bytes */

	struct pool *filling; /* the threads that fill the erofs disks */
	struct erofs *erofs[2];
	int result[2];
	struct err why[2];
	struct rootfs extra; /* the tree of DISK_EXTRA */
};

/*
 * Makes the disks, sets the size of the erofs disks, and starts to fill them in other
 * threads. Returns 0, or -1 and a reason. The caller must release `d` in both cases.
 */
int disks_start(struct disks *d, const struct job *j, struct err *e);

/* Waits until the erofs disks are filled. Returns 0, or -1 and a reason. */
int disks_finish(struct disks *d, struct err *e);

/*
 * Empties DISK_CHANGES and DISK_LAYER, and sets their size. No QEMU may be running: it
 * reads the size of a disk once. Returns 0, or -1 and a reason.
 */
int disks_empty(struct disks *d, struct err *e);

/*
 * Makes the file system on DISK_CHANGES, and writes the settings. The guest may boot
 * meanwhile. `log` receives the output of mke2fs. Returns 0, or -1 and a reason.
 */
int disks_format(struct disks *d, const struct job *j, int log, struct err *e);

/* Closes all disks except the job's layer. */
void disks_release(struct disks *d);

#endif
