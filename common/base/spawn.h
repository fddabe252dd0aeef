/*
 * spawn: other programs that a tool runs.
 *
 * They get no standard input and no descriptor but what is said, and end with the tool.
 */
#ifndef DT_SPAWN_H
#define DT_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

struct err;

/*
 * Starts argv[0], looked up in PATH and /usr/sbin and /sbin. Its stdout is `out`, its
 * stderr `log`; the `n` descriptors in keep[] stay open in it under their numbers. It is
 * killed when this process ends. Returns its PID, or -1 and why not.
 */
pid_t spawn_start(const char *const argv[], int out, int log, const int *keep, size_t n,
		  struct err *e);

/* Runs it to its end; returns 0 if it succeeds, or -1 and why not. */
int spawn_run(const char *const argv[], int out, int log, const int *keep, size_t n,
	      struct err *e);

#endif
