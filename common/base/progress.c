#include "base/progress.h"

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Atomic bool shown;

static bool is_due(void)
{
	static struct timespec last;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	long ms =
	    (now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000;
	if (last.tv_sec != 0 && ms < 100)
		return false;
	last = now;
	return true;
}

void progress(const char *what, size_t done, size_t total, uint64_t bytes)
{
	static int terminal = -1;

	if (terminal < 0)
		terminal = isatty(STDERR_FILENO);
	if (terminal == 0 || !is_due())
		return;
	fprintf(stderr, "\r\033[K%s: %zu ", err_tool(), done);
	if (total != 0)
		fprintf(stderr, "of %zu ", total);
	fprintf(stderr, "%s, %.1f MB", what, (double)bytes / 1e6);
	fflush(stderr);
	shown = true;
}

void progress_end(void)
{
	if (atomic_exchange(&shown, false))
		fputs("\r\033[K", stderr);
}
