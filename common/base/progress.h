/*
 * progress: how far long work is, on stderr, where that is a terminal.
 */
#ifndef DT_PROGRESS_H
#define DT_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Says that `done` of `total` things named `what` are through and that they were
 * `bytes` bytes; a total of 0 is not known. Rewrites one line at most ten times a second;
 * silent elsewhere.
 */
void progress(const char *what, size_t done, size_t total, uint64_t bytes);

/* Clears the line, before the tool ends or says something else. */
void progress_end(void);

#endif
