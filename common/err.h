/*
 * err: messages and exit status. Level 0.
 *
 * A message is one line on stderr, "TOOL: text", lower case, no full stop. Control
 * bytes of foreign names are shown as \ooo, so that one message stays one line.
 * Only cmd/ and this module end the process; die() may be called from any thread and
 * leaves through _exit(2), so no buffered output follows it.
 *
 * Exit status: 0 done; 1 bad input, failed check, system error; 2 the command line.
 */
#ifndef DT_ERR_H
#define DT_ERR_H

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
