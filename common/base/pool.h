/*
 * pool: run numbered jobs in parallel on all cores.
 *
 * The caller starts jobs such as the hashing of files, and waits for each result in
 * order:
 *
 *	struct pool *p = pool_start(n, hash_file, files);
 *	for each i: pool_wait(p, i), use the result;
 *	pool_release(p);
 *
 * Jobs start in the order of their numbers. The number of threads is the number of cores
 * that the process may use, at most 64.
 */
#ifndef DT_POOL_H
#define DT_POOL_H

#include <stddef.h>

struct pool;

/*
 * Starts the jobs 0 to n-1. Each job calls work(arg, i), in several threads at once. The
 * caller gives the result to pool_release(). Ends the process if no thread can be
 * started.
 */
struct pool *pool_start(size_t n, void (*work)(void *arg, size_t i), void *arg);

/* Returns the number of cores that the process may use, from 1 to 64. */
size_t pool_cores(void);

/*
 * Does the same with up to `threads` threads, at most 64. Suitable for jobs that wait
 * more than they compute.
 */
struct pool *pool_start_wide(size_t threads, size_t n, void (*work)(void *arg, size_t i),
			     void *arg);

/* Waits until job `i` has ended. */
void pool_wait(struct pool *p, size_t i);

/* Waits for all jobs and frees the pool. `p` may be NULL. */
void pool_release(struct pool *p);

#endif
