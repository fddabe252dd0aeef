/*
 * job: what dt-vmrun is to do, whichever way it does it. Level 7.
 */
#ifndef DT_JOB_H
#define DT_JOB_H

#include "buf.h"

#include <stddef.h>
#include <stdint.h>

struct err;
struct jail_bind;
struct rootfs;

struct job {
	struct rootfs
	    *rootfs; /* the image's tree, sorted, with the folders of job_prepare() */
	const char *tree;       /* the folder whose contents go over it, or NULL */
	struct jail_bind *bind; /* of this machine, absolute paths in the image */
	size_t n_binds;
	struct buf script;
	const char *script_name; /* how messages call it */
	int64_t mtime;           /* seconds since 1970; what is later becomes this */
	uint64_t memory, disk;   /* MiB */
	uint64_t timeout;        /* seconds; 0: none */
	int layer;               /* an empty file, which gets the layer's tar */
};

/*
 * Adds to the tree the folders and files that something is mounted on, those that it does
 * not have, and sorts it. Returns 0, or -1 and why not.
 */
int job_prepare(struct job *j, struct err *e);

/* Milliseconds of a clock that only goes on. */
int64_t job_clock(void);

#endif
