/*
 * progress-private: the text of the lines, for the parts of progress.
 */
#ifndef DT_PROGRESS_PRIVATE_H
#define DT_PROGRESS_PRIVATE_H

#include "base/progress.h"

struct buf;

/* Measures how fast the number grows. `at` is the time in seconds. */
void progress_measure(struct progress_pace *p, uint64_t bytes, double at);

/* Appends a line of at most `columns` characters, without a newline. */
void progress_draw_sum(const struct progress_sum *s, const struct progress_pace *p,
		       size_t columns, struct buf *out);
void progress_draw_task(const struct progress_task *t, size_t columns, struct buf *out);

#endif
