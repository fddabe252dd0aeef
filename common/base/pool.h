/*
 * pool: numbered jobs on all cores.
 *
 * Jobs are started in order of their numbers, one a core at a time; as many threads run
 * as the process may use cores.
 */
#ifndef DT_POOL_H
#define DT_POOL_H

#include <stddef.h>

struct pool;

/*
 * Starts the jobs 0..n-1: work(arg, i) for each, in several threads at once. The caller
 * owns the result and gives it to pool_release().
 */
struct pool *pool_start(size_t n, void (*work)(void *arg, size_t i), void *arg);

/* How many threads that is: 1 or more. */
size_t pool_cores(void);

/* The same in up to `threads` threads, for jobs that wait more than they compute. */
struct pool *pool_start_wide(size_t threads, size_t n, void (*work)(void *arg, size_t i),
			     void *arg);

/* Returns once job `i` has returned. */
void pool_wait(struct pool *p, size_t i);

/* Waits for all jobs and frees the pool. NULL is a no-op. */
void pool_release(struct pool *p);

#endif
