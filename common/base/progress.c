#include "base/progress.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/progress-private.h"
#include "base/terminal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const double delay = 0.5, interval = 0.1; /* seconds */

/* The tasks that are shown. */
static struct {
	pthread_mutex_t lock; /* for all members but `thread` and `is_on` */
	pthread_cond_t stop;
	pthread_t thread;
	_Atomic bool is_on;
	bool is_alone;
	struct progress_task *first, **last;
	struct progress_pace pace; /* of the sum */
	void (*sum)(void *arg, struct progress_sum *s);
	void *arg;
} tasks = {.lock = PTHREAD_MUTEX_INITIALIZER,
	   .stop = PTHREAD_COND_INITIALIZER,
	   .last = &tasks.first};

/* --- one line --- */

static struct {
	double drawn; /* when, or the time of the first call; 0: not called yet */
	struct progress_pace pace;
	bool is_shown;
} line;

void progress(const char *what, size_t done, size_t total, uint64_t bytes, uint64_t all)
{
	const struct progress_sum sum = {what, done, total, bytes, all, false};
	struct buf text = {0};
	size_t columns, rows;

	if (!terminal_is_usable() || tasks.is_on)
		return;
	double t = clock_now();
	if (line.drawn == 0) {
		line.drawn = t;
		progress_measure(&line.pace, bytes, t);
	}
	if (t < line.drawn + (line.is_shown ? interval : delay) || !terminal_take())
		return;
	line.drawn = t;
	line.is_shown = true;
	terminal_size(&columns, &rows);
	progress_measure(&line.pace, bytes, t);
	progress_draw_sum(&sum, &line.pace, columns - 1, &text);
	terminal_draw(text.data, text.len, 1);
	buf_release(&text);
}

void progress_end(void)
{
	if (line.is_shown)
		terminal_leave();
	memset(&line, 0, sizeof line);
}

/* --- several tasks --- */

static void draw_task(struct progress_task *t, double at, size_t columns, struct buf *out)
{
	int step = t->now;

	if (t->shown != step)
		t->pace = (struct progress_pace){0};
	t->shown = step;
	progress_measure(&t->pace, t->step[step].done, at);
	progress_draw_task(t, columns, out);
	buf_addch(out, '\n');
}

/* Draws as many tasks as fit on the terminal, the oldest first. */
static void draw(double at)
{
	struct progress_sum sum = {0};
	struct buf text = {0};
	size_t columns, rows, n = 1;

	terminal_size(&columns, &rows);
	for (struct progress_task *t = tasks.is_alone ? tasks.first : NULL;
	     t != NULL && n + 1 < rows; t = t->next, n++)
		draw_task(t, at, columns - 1, &text);
	tasks.sum(tasks.arg, &sum);
	progress_measure(&tasks.pace, sum.bytes, at);
	progress_draw_sum(&sum, &tasks.pace, columns - 1, &text);
	if (terminal_take())
		terminal_draw(text.data, text.len, n);
	buf_release(&text);
}

static void *run(void *arg)
{
	struct timespec until;
	double start = clock_now();

	pthread_mutex_lock(&tasks.lock);
	while (tasks.is_on) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += (long)(interval * 1e9);
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_clockwait(&tasks.stop, &tasks.lock, CLOCK_MONOTONIC, &until);
		double at = clock_now();
		if (tasks.is_on && at >= start + delay)
			draw(at);
	}
	pthread_mutex_unlock(&tasks.lock);
	return arg;
}

void progress_start(void (*sum)(void *arg, struct progress_sum *s), void *arg)
{
	struct stat st;

	if (!terminal_is_usable())
		return;
	pthread_mutex_lock(&tasks.lock);
	tasks.sum = sum;
	tasks.arg = arg;
	tasks.is_alone = fstat(STDOUT_FILENO, &st) < 0 || !S_ISFIFO(st.st_mode);
	tasks.is_on = pthread_create(&tasks.thread, NULL, run, NULL) == 0;
	pthread_mutex_unlock(&tasks.lock);
}

void progress_stop(void)
{
	pthread_mutex_lock(&tasks.lock);
	bool was_on = tasks.is_on;
	tasks.is_on = false;
	if (was_on)
		pthread_cond_signal(&tasks.stop);
	pthread_mutex_unlock(&tasks.lock);
	if (!was_on)
		return;
	pthread_join(tasks.thread, NULL);
	terminal_leave();
	tasks.pace = (struct progress_pace){0};
}

void progress_begin(struct progress_task *t, const char *const names[PROGRESS_STEPS],
		    const char *name)
{
	t->names = names;
	memcpy(t->name, name, strnlen(name, PROGRESS_NAME));
	pthread_mutex_lock(&tasks.lock);
	t->link = tasks.last;
	*t->link = t;
	tasks.last = &t->next;
	pthread_mutex_unlock(&tasks.lock);
}

void progress_finish(struct progress_task *t)
{
	pthread_mutex_lock(&tasks.lock);
	*t->link = t->next;
	if (t->next != NULL)
		t->next->link = t->link;
	else
		tasks.last = t->link;
	t->next = NULL;
	pthread_mutex_unlock(&tasks.lock);
}

void progress_step(struct progress_task *t, int step, uint64_t total)
{
	if (t == NULL)
		return;
	t->step[step].total = total;
	t->now = step;
}

void progress_add(struct progress_task *t, int step, uint64_t bytes)
{
	if (t != NULL)
		atomic_fetch_add_explicit(&t->step[step].done, bytes,
					  memory_order_relaxed);
}

void progress_set(struct progress_task *t, int step, uint64_t bytes)
{
	if (t != NULL)
		t->step[step].done = bytes;
}
