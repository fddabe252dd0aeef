/*
 * userns: the backend of dt-vmrun without a virtual machine.
 *
 * The image is mounted with overlayfs in a mount namespace. Root needs no user namespace;
 * any other user gets one. Changes go to a scratch directory in $TMPDIR. A separate
 * process removes it after the run, even if the calling process is killed. If that
 * process is killed, too, the next run removes it, see scratch.h.
 */
#ifndef DT_USERNS_H
#define DT_USERNS_H

struct err;
struct job;
struct report;

/*
 * Runs the job and fills in `t`. Returns 0 if report_verdict() can judge `t`, or -1 and a
 * reason.
 */
int userns_run(const struct job *j, struct report *t, struct err *e);

#endif
