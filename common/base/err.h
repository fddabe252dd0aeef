/*
 * err: messages and exit status.
 *
 * A message is one line on stderr, "TOOL: text", lower case, no full stop. Characters of
 * untrusted names that a terminal would obey are escaped, see err_escape().
 * Only cmd/ and this module end the process; die() may be called from any thread and
 * leaves through _exit(2), so no buffered output follows it. If several threads die, only
 * the first one is heard.
 *
 * In a pipeline only the tool that failed first prints a message. If stdout of a tool
 * that dies is a pipe, it gets the sticky bit, which has no other meaning there, before
 * the pipe is closed. A tool that dies while stdin is a pipe with that bit prints
 * nothing: the tool in front of it has said why.
 *
 * Exit status: 0 done; 1 bad input, failed check, system error; 2 the command line.
 */
#ifndef DT_ERR_H
#define DT_ERR_H

#include <stddef.h>

/* Why a parser of foreign bytes gave up. */
struct err {
	char text[1024];
};

/* Names the tool in all messages. `tool` is kept, not copied. */
void err_init(const char *tool);

/*
 * Has die() and die_usage() end the process with this status instead: for a tool whose
 * own status belongs to what it runs.
 */
void err_status(int status);

/* Has die() and the like call this function before the process ends. */
void err_on_death(void (*call)(void));

/*
 * Writes `s` to `out`, of `size` bytes, as it is safe to show: control characters (C0,
 * C1), marks that change the direction of text, line separators and bytes that are not
 * UTF-8 become \ooo for each byte. What has no room is left out. Returns the length.
 */
size_t err_escape(char *out, size_t size, const char *s);

/* Ends a process that was forked off, without a word. */
_Noreturn void leave(int status);

/* The name given to err_init(). */
const char *err_tool(void);

/* Writes the reason into `e`; returns -1, so that a parser can `return err_set(...)`. */
int err_set(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same, followed by ": " and the text of errno. */
int err_set_errno(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

void warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Says why and ends the process with status 1. */
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same, followed by ": " and the text of errno. */
_Noreturn void die_errno(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Says what is wrong with the command line, points to --help, status 2. */
_Noreturn void die_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
