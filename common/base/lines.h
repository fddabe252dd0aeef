/*
 * lines: text of which each line ends in a newline.
 *
 * A text without a final newline was truncated. A graph, a plan and a list of paths are
 * such texts.
 *
 *	if (lines_scan(text.data, text.len, "stdin", read_line, &state, &e) < 0)
 *		die("%s", e.text);	"stdin:12: ..."
 */
#ifndef DT_LINES_H
#define DT_LINES_H

#include <stddef.h>

struct err;

/*
 * Calls `on_line` for each line, without its newline, until it returns -1 with a reason.
 * A NUL byte and a truncated last line are errors. `what` names the text; the reason in
 * `e` begins with it and the number of the line. Returns 0, or -1 with the reason in `e`.
 */
int lines_scan(const char *text, size_t len, const char *what,
	       int (*on_line)(void *arg, const char *line, size_t len, struct err *e),
	       void *arg, struct err *e);

#endif
