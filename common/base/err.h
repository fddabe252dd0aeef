/*
 * err: error messages and exit status.
 *
 * All tools report errors in one form. A message is one line on stderr, "TOOL: text", in
 * lower case without a full stop. Unsafe characters in file names are escaped; see
 * err_escape().
 *
 * A parser of untrusted input stores the reason in a struct err, and a tool ends with
 * die():
 *
 *	struct err e;
 *	if (parse(file, &e) < 0)
 *		die("%s: %s", file, e.text);
 *
 * Only cmd/, this module and opt end the process. Any thread may call die(). If several
 * threads call it, only the first prints a message. die() leaves through _exit(2), so no
 * buffered output follows the message.
 *
 * In a pipeline, only the tool that failed first prints a message. When a tool dies and
 * its stdout is a pipe, it sets the sticky bit on the pipe, which has no other meaning
 * there. A tool that dies while its stdin is such a pipe prints nothing, because the tool
 * before it has reported the cause.
 *
 * Exit status: 0 for success; 1 for bad input, a failed check or a system error; 2 for a
 * wrong command line.
 */
#ifndef DT_ERR_H
#define DT_ERR_H

#include <stdbool.h>
#include <stddef.h>

/* The reason why a parser of untrusted input failed. */
struct err {
	char text[1024];
};

/* Sets the name of the tool for all messages. `tool` is kept, not copied. */
void err_init(const char *tool);

/*
 * Sets the exit status of die() and die_usage(). A tool that passes on the exit status of
 * another program needs this.
 */
void err_status(int status);

/* Sets a function that die() and the similar functions call before the process ends. */
void err_on_death(void (*call)(void));

/*
 * Writes `s` to `out`, which has room for `size` bytes, in a form that is safe to print
 * on a terminal. Each byte of these becomes \ooo: control characters (C0 and C1),
 * characters that change the direction of text, line separators, and bytes that are not
 * UTF-8. The text is truncated to the room. Returns its length.
 */
size_t err_escape(char *out, size_t size, const char *s);

/* Ends a forked child without a message. */
_Noreturn void leave(int status);

/* Returns the name that err_init() set. */
const char *err_tool(void);

/* Stores the reason in `e`. Returns -1, so that a parser can `return err_set(...)`. */
int err_set(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Does the same and appends ": " and the text of errno. */
int err_set_errno(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Puts a prefix and ": " before the reason in `e`. The arguments must not point into it.
 * A caller adds the name of the file with it, say. Returns -1.
 */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints a message and continues. */
void warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Makes inform() print, as --verbose of a tool does. */
void err_verbose(void);

/*
 * Prints which decision the tool has made, and why, if err_verbose() was called. Any
 * thread may call it.
 */
void inform(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints a message and ends the process with status 1. */
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Does the same as die() and appends ": " and the text of errno. */
_Noreturn void die_errno(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Prints a message about the command line with a hint at --help, and ends the process
 * with status 2.
 */
_Noreturn void die_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
