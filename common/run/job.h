/*
 * job: the parameters and the event loop of a dt-vmrun run.
 *
 * Both backends, the virtual machine (vm.h) and the user namespace (userns.h), take a
 * job. Both report their progress as lines, see report.h.
 *
 *	if (job_prepare(&j, &e) == 0)
 *		result = userns_run(&j, &report, &e);
 *	job_release(&j);
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
	struct rootfs *rootfs;  /* the image's tree; job_prepare() completes it */
	const char *image;      /* the image's name for messages */
	char *tree;             /* directory to copy into the image, or NULL */
	struct jail_bind *bind; /* absolute paths here and in the image */
	size_t n_binds;
	struct buf script;
	const char *script_name; /* the script's name for messages */
	int64_t mtime;           /* seconds since 1970; later times become this */
	uint64_t memory, disk;   /* in MiB */
	uint64_t timeout;        /* in seconds; 0: unlimited */
	int layer;               /* an empty file for the tar of the layer */
};

/*
 * Makes the paths of `tree` and `bind` absolute. Adds missing mount points to the image's
 * tree, and sorts it. Fails if the image has file names that Linux does not allow.
 * Returns 0, or -1 and a reason. The caller must release the job in both cases.
 */
int job_prepare(struct job *j, struct err *e);

/* Frees everything except the image's tree and the layer. */
void job_release(struct job *j);

/* A monotonic clock in milliseconds. */
int64_t job_clock(void);

/* The job_clock() time at which a job that starts now must be finished, or -1. */
int64_t job_end(const struct job *j);

/* A run of the job in other processes. */
struct job_run {
	int control;   /* receives the lines of report.h */
	int output;    /* receives the script's output */
	int64_t end;   /* from job_end() */
	int64_t hello; /* for a guest: the time by which HELLO must arrive, or 0 */
};

/*
 * Reads both descriptors until they are closed. Writes the output to stderr. Returns 0,
 * or -1 and a reason to stop the run.
 */
int job_listen(const struct job *j, const struct job_run *r, struct report *t,
	       struct err *e);

#endif
