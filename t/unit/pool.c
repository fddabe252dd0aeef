#include "base/pool.h"

#include "tap.h"

enum { JOBS = 10000 };

static void work(void *arg, size_t i)
{
	size_t *results = arg;

	results[i] = i * i;
}

int main(void)
{
	static size_t results[JOBS];
	bool done = true;

	pool_release(NULL);
	struct pool *p = pool_start(0, work, results);
	pool_release(p);
	tap_ok(true, "no jobs");
	p = pool_start(JOBS, work, results);
	for (size_t i = 0; i < JOBS; i++) {
		pool_wait(p, i);
		done = done && results[i] == i * i;
	}
	tap_ok(done, "a job that was waited for is done");
	pool_wait(p, 5);
	pool_release(p);

	memset(results, 0, sizeof results);
	pool_release(pool_start(JOBS, work, results));
	for (size_t i = 0; i < JOBS; i++)
		done = done && results[i] == i * i;
	tap_ok(done, "releasing a pool waits for all jobs");
	return tap_done();
}
