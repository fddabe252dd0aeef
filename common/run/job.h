/*
 * job: what dt-vmrun is to do, whichever way it does it.
 */
#ifndef DT_JOB_H
#define DT_JOB_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

struct err;
struct jail_bind;
struct rootfs;
struct report;

struct job {
	struct rootfs
	    *rootfs; /* the image's tree, sorted, with the directories of job_prepare() */
	const char *image;      /* how messages call the image */
	char *tree;             /* the directory whose contents go over it, or NULL */
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
 * Makes the paths of `tree` and `bind` absolute, and adds to the image's tree the
 * directories and files that something is mounted on, where they are missing. Refuses an
 * image with names that Linux does not have. Sorts the tree. Returns 0, or -1 and why
 * not; in either case the caller releases the job.
 */
int job_prepare(struct job *j, struct err *e);

/* Frees all but the image's tree and the layer. */
void job_release(struct job *j);

/* Milliseconds of a clock that only goes on. */
int64_t job_clock(void);

/* The job_clock() at which a job that begins now must be over, or -1. */
int64_t job_end(const struct job *j);

/* A run of the job by other processes. */
struct job_run {
	int control; /* talk.h: what is told of it */
	int output;  /* what the script prints */
	int64_t end; /* of job_end() */

	/* For a guest: the job_clock() at which it must be up, or 0; and what is done
	 * then. */
	int64_t hello;
	int (*welcome)(void *arg, struct err *e);
	void *arg;
};

/*
 * Listens to a run until both descriptors are at their end. The output goes to stderr.
 * Returns 0, or -1 and why the run cannot go on.
 */
int job_listen(const struct job *j, const struct job_run *r, struct report *t,
	       struct err *e);

#endif
