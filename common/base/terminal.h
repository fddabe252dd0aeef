/*
 * terminal: lines that are drawn again and again at the end of a terminal.
 *
 * The terminal is stderr. It is usually shared: by threads, and by the tools of a
 * pipeline. This module keeps their output apart:
 *
 * - Only one process draws at a time. It holds a record lock on the terminal.
 * - A message replaces the lines, which are drawn again below it.
 *
 *	if (terminal_is_usable() && terminal_take())
 *		terminal_draw(text, len, 2);
 *	...
 *	terminal_leave();
 *
 * If stderr is not a terminal, or TERM is empty or "dumb", nothing can be drawn. Any
 * thread may call these functions.
 */
#ifndef DT_TERMINAL_H
#define DT_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Whether stderr is a terminal whose cursor can be moved. */
bool terminal_is_usable(void);

/* The size that the terminal has now; 80 columns and 24 rows if it is unknown. */
void terminal_size(size_t *columns, size_t *rows);

/* Makes this the process that draws. Returns false if another process draws now. */
bool terminal_take(void);

/*
 * Writes to stderr, also if it is busy or does not block. Gives up after some seconds, or
 * if it is closed.
 */
void terminal_write(const char *text, size_t len);

/*
 * Draws `n` lines, at least one, in place of those that were drawn before. They are
 * separated by newlines, and none is as wide as the terminal.
 */
void terminal_draw(const char *text, size_t len, size_t n);

/* Removes the lines. Another process may draw then. */
void terminal_leave(void);

/*
 * Keeps the terminal for a message: removes the lines, and draws nothing until
 * terminal_unlock(). After terminal_close(), nothing is drawn any more.
 */
void terminal_lock(void);
void terminal_unlock(void);
void terminal_close(void);

#endif
