#include "base/pool.h"

#include "base/err.h"
#include "base/mem.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

enum { THREADS_MAX = 64 };

struct pool {
	void (*work)(void *arg, size_t i);
	void *arg;
	size_t n, next;
	bool *done;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t threads[THREADS_MAX];
	size_t n_threads;
};

size_t pool_cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) < 0)
		return 1;
	size_t n = (size_t)CPU_COUNT(&set);
	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
}

static void *run(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	while (p->next < p->n) {
		size_t i = p->next++;
		pthread_mutex_unlock(&p->lock);
		p->work(p->arg, i);
		pthread_mutex_lock(&p->lock);
		p->done[i] = true;
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct pool *pool_start(size_t n, void (*work)(void *arg, size_t i), void *arg)
{
	return pool_start_wide(pool_cores(), n, work, arg);
}

struct pool *pool_start_wide(size_t threads, size_t n, void (*work)(void *arg, size_t i),
			     void *arg)
{
	struct pool *p = mem_zero(1, sizeof *p);

	p->work = work;
	p->arg = arg;
	p->n = n;
	p->done = mem_zero(n, sizeof *p->done);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	size_t want = threads < n ? threads : n;
	if (want > THREADS_MAX)
		want = THREADS_MAX;
	while (p->n_threads < want &&
	       pthread_create(&p->threads[p->n_threads], NULL, run, p) == 0)
		p->n_threads++;
	if (p->n_threads == 0 && n != 0)
		die("cannot start a thread");
	return p;
}

void pool_wait(struct pool *p, size_t i)
{
	pthread_mutex_lock(&p->lock);
	while (!p->done[i])
		pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

void pool_release(struct pool *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p->done);
	free(p);
}
