/*
 * spawn: run another program.
 *
 *	const char *argv[] = {"mkfs.erofs", image, dir, NULL};
 *	if (spawn_run(argv, -1, log_fd, NULL, 0, &e) < 0)
 *		die("%s", e.text);
 *
 * The program has no other descriptors than those that the caller names. The kernel kills
 * the program when the thread that started it ends.
 */
#ifndef DT_SPAWN_H
#define DT_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct buf;
struct err;

/* Does the same as fork(2), but the kernel kills the child when this thread ends. */
pid_t spawn_fork(void);

/*
 * Sets `file` to the program that spawn_start() would start for this name. Returns false
 * if there is none.
 */
bool spawn_find(const char *name, struct buf *file);

/*
 * Starts argv[0], which is searched in PATH and then in the standard system directories.
 * Its stdin is `in`, its stdout `out`, and its stderr `log`; -1 means /dev/null. The `n`
 * descriptors in keep[] stay open under the same numbers. Returns its PID, or -1 with
 * errno set and the reason.
 */
pid_t spawn_start(const char *const argv[], int in, int out, int log, const int *keep,
		  size_t n, struct err *e);

/* Waits for the program or another child process. Returns its status as of wait(2), or -1
 * with errno set. */
int spawn_wait(pid_t pid);

/*
 * Starts a program with /dev/null as stdin, and waits for it. Returns 0 if it exits with
 * status 0, or -1 and the reason.
 */
int spawn_run(const char *const argv[], int out, int log, const int *keep, size_t n,
	      struct err *e);

#endif
