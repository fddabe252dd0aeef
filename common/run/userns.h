/*
 * userns: runs a script as root of an image without a virtual machine.
 *
 * By overlayfs in a mount namespace: in a user namespace, or, for root, without one. What
 * changes goes to a scratch directory in $TMPDIR, which a process of its own removes when
 * the run is over or this process is gone, however.
 */
#ifndef DT_USERNS_H
#define DT_USERNS_H

struct err;
struct job;
struct report;

/*
 * Does the job and fills in `t`. Returns 0 if `t` has all that can be told, or -1 and why
 * not.
 */
int userns_run(const struct job *j, struct report *t, struct err *e);

#endif
