/*
 * progress: show the progress of long work on a terminal.
 *
 * A tool that does one thing after the other shows one line, from one thread at a time:
 *
 *	progress("members", i, n, bytes, total);	after each piece of data
 *	progress_end();
 *
 *	dt-compress: 12 members, 120.4 of 310.0 MB, 85.1 MB/s, 0:02 left
 *
 * A tool that transfers several blobs at once shows a line for each, and a total:
 *
 *	progress_start(sum, &pull);
 *	progress_begin(&task, names, hex);		in any thread
 *	progress_step(&task, 0, size);
 *	progress_add(&task, 0, n);			after each piece of data
 *	progress_finish(&task);
 *	progress_stop();
 *
 *	3f0a6de2b1c4 downloading   [====>     ] 45.1 of 100.2 MB  12.0 MB/s 0:04
 *	dt-pull: 3 of 9 layers, 60.4 of 310.0 MB, 24.1 MB/s, 0:10 left
 *
 * Nothing is shown for the first half second, and if the terminal is not usable (see
 * terminal.h). If stdout is a pipe, only the total is shown, because the reader of the
 * pipe may use the terminal, too.
 */
#ifndef DT_PROGRESS_H
#define DT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The progress of all items together. */
struct progress_sum {
	const char *what;   /* the items, a noun in the plural */
	size_t done, total; /* items; the total is 0 if it is unknown */
	uint64_t bytes;     /* that were read or sent */
	uint64_t all;       /* bytes at the end, or 0 if unknown */
	bool is_estimate;   /* `all` is a guess */
};

/* Shows one line, at most ten times a second. `all` as in struct progress_sum. */
void progress(const char *what, size_t done, size_t total, uint64_t bytes, uint64_t all);

/* Removes the line. */
void progress_end(void);

/* --- several tasks --- */

/* How fast a number of bytes grows. */
struct progress_pace {
	uint64_t bytes;
	double begun, at, per_second; /* seconds; 0: not known yet */
};

/* A task of two steps, which may overlap. */
enum { PROGRESS_STEPS = 2, PROGRESS_NAME = 12 };
struct progress_task {
	struct {
		_Atomic uint64_t done, total; /* bytes; the total is 0 if unknown */
	} step[PROGRESS_STEPS];
	_Atomic int now; /* the step to show */
	/* Private. */
	const char *const *names;
	char name[PROGRESS_NAME + 1];
	int shown;
	struct progress_pace pace;
	struct progress_task *next, **link;
};

/*
 * Starts a thread that draws ten times a second. It calls sum() for the total, which may
 * take locks that are not held while one of the functions below is called. Does nothing
 * if nothing can be shown.
 */
void progress_start(void (*sum)(void *arg, struct progress_sum *s), void *arg);

/* Removes the lines and ends the thread. Does nothing if there is none. */
void progress_stop(void);

/*
 * Adds a task, which must stay in place until progress_finish(). `names` are those of its
 * steps. Its own name is the beginning of `name`.
 */
void progress_begin(struct progress_task *t, const char *const names[PROGRESS_STEPS],
		    const char *name);
void progress_finish(struct progress_task *t);

/* The functions below do nothing if `t` is NULL. */

/* Shows this step, which has `total` bytes. */
void progress_step(struct progress_task *t, int step, uint64_t total);

/* Adds bytes to those of a step that are done, or begins again with `bytes`. */
void progress_add(struct progress_task *t, int step, uint64_t bytes);
void progress_set(struct progress_task *t, int step, uint64_t bytes);

#endif
