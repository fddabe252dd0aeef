/*
 * progress: show the progress of long work on a terminal.
 *
 * The line appears on stderr if stderr is a terminal. Otherwise the functions print
 * nothing.
 */
#ifndef DT_PROGRESS_H
#define DT_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Shows that `done` of `total` items are done and how many bytes they had. `what` is the
 * name of the items in the plural. A `total` of 0 means that it is not known. The line is
 * rewritten at most ten times a second.
 */
void progress(const char *what, size_t done, size_t total, uint64_t bytes);

/* Clears the line. Must be called before the tool ends or prints something else. */
void progress_end(void);

#endif
