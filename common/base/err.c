#include "base/err.h"

#include "base/terminal.h"
#include "base/utf8.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { MESSAGE_MAX = 8192 };

static const char *tool_name = "dt";
static bool is_verbose;
static void (*_Atomic on_death)(void);
static int die_status = 1, usage_status = 2;

void err_init(const char *tool)
{
	tool_name = tool;
}

void err_status(int status)
{
	die_status = usage_status = status;
}

void err_on_death(void (*call)(void))
{
	on_death = call;
}

void leave(int status)
{
	_exit(status);
}

const char *err_tool(void)
{
	return tool_name;
}

/*
 * Returns whether the character controls the terminal or changes the order of the text
 * after it.
 */
static bool is_unsafe(uint32_t c)
{
	bool is_control = c < 0x20 || (c >= 0x7f && c < 0xa0);
	bool is_surrogate = c >= 0xd800 && c < 0xe000; /* an invalid byte */
	bool is_line_end = c == 0x2028 || c == 0x2029;
	bool is_bidirectional = c == 0x061c || c == 0x200e || c == 0x200f ||
				(c >= 0x202a && c <= 0x202e) ||
				(c >= 0x2066 && c <= 0x2069);

	return is_control || is_surrogate || is_line_end || is_bidirectional;
}

size_t err_escape(char *out, size_t size, const char *s)
{
	enum { ESCAPED = 4 }; /* length of \ooo */
	size_t len = 0;

	while (*s != '\0') {
		const char *from = s;
		bool unsafe = is_unsafe(utf8_next(&s));
		size_t n = (size_t)(s - from);
		if (len + n * (unsafe ? ESCAPED : 1) >= size)
			break;
		for (size_t i = 0; i < n; i++)
			if (unsafe)
				len += (size_t)snprintf(out + len, ESCAPED + 1, "\\%03o",
							(unsigned char)from[i]);
			else
				out[len++] = from[i];
	}
	out[len] = '\0';
	return len;
}

/*
 * Writes each message with one write(2), so that messages of several threads and tools do
 * not mix.
 */
static void message(const char *fmt, va_list ap, const char *tail)
{
	char text[MESSAGE_MAX], line[MESSAGE_MAX];
	const char *parts[] = {tool_name, text, tail};
	size_t len = 0;

	vsnprintf(text, sizeof text, fmt, ap);
	for (size_t i = 0; i < 3 && parts[i] != NULL; i++) {
		if (i > 0 && len + 4 < sizeof line)
			len += (size_t)snprintf(line + len, 3, ": ");
		len += err_escape(line + len, sizeof line - 2 - len, parts[i]);
	}
	line[len++] = '\n';
	terminal_lock();
	terminal_write(line, len);
	terminal_unlock();
}

/* --- ending the process --- */

/*
 * Returns whether `fd` is an unnamed pipe. A FIFO is excluded, because its mode belongs
 * to its owner.
 */
static bool is_pipe(int fd, struct stat *st)
{
	struct statfs fs;

	return fstat(fd, st) == 0 && S_ISFIFO(st->st_mode) && fstatfs(fd, &fs) == 0 &&
	       fs.f_type == PIPEFS_MAGIC;
}

/*
 * Sets the mark by which the reader of stdout knows that this tool has failed and printed
 * a message.
 */
static void mark_stdout(void)
{
	struct stat st;

	/*
	 * This fails for a pipe of another user; then its reader prints a message, too.
	 */
	if (is_pipe(STDOUT_FILENO, &st) &&
	    fchmod(STDOUT_FILENO, (st.st_mode & 07777) | S_ISVTX) < 0)
		return;
}

static bool is_stdin_marked(void)
{
	struct stat st;

	return is_pipe(STDIN_FILENO, &st) && (st.st_mode & S_ISVTX) != 0;
}

/*
 * Stops all threads that fail except the first. A child that is forked during a failure
 * inherits `dying` with the PID of its parent, and must not stop.
 */
static void only_once(void)
{
	static _Atomic pid_t dying;
	pid_t none = 0;

	if (!atomic_compare_exchange_strong(&dying, &none, getpid()) && none == getpid())
		for (;;)
			pause();
}

_Noreturn static void end(int status)
{
	mark_stdout();
	if (on_death != NULL)
		on_death();
	_exit(status);
}

int err_set(struct err *e, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return -1;
}

/* Appends the text, truncated to the room. */
static void append(struct err *e, const char *text)
{
	size_t len = strlen(e->text), n = strnlen(text, sizeof e->text - 1 - len);

	memcpy(e->text + len, text, n);
	e->text[len + n] = '\0';
}

static int set_with(struct err *e, const char *fmt, va_list ap, const char *reason)
{
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	append(e, ": ");
	append(e, reason);
	return -1;
}

int err_set_errno(struct err *e, const char *fmt, ...)
{
	const char *reason = strerror(errno);
	va_list ap;
	va_start(ap, fmt);
	set_with(e, fmt, ap, reason);
	va_end(ap);
	return -1;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	const struct err reason = *e;
	va_list ap;
	va_start(ap, fmt);
	set_with(e, fmt, ap, reason.text);
	va_end(ap);
	return -1;
}

void warn(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	message(fmt, ap, NULL);
	va_end(ap);
}

void err_verbose(void)
{
	is_verbose = true;
}

void inform(const char *fmt, ...)
{
	if (!is_verbose)
		return;
	va_list ap;
	va_start(ap, fmt);
	message(fmt, ap, NULL);
	va_end(ap);
}

_Noreturn static void die_of(const char *fmt, va_list ap, const char *reason)
{
	only_once();
	terminal_close();
	if (!is_stdin_marked())
		message(fmt, ap, reason);
	end(die_status);
}

void die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	die_of(fmt, ap, NULL);
}

void die_errno(const char *fmt, ...)
{
	const char *reason = strerror(errno);
	va_list ap;
	va_start(ap, fmt);
	die_of(fmt, ap, reason);
}

void die_usage(const char *fmt, ...)
{
	char hint[256];
	snprintf(hint, sizeof hint, "try '%s --help'", tool_name);
	va_list ap;
	va_start(ap, fmt);
	only_once();
	message(fmt, ap, hint);
	end(usage_status);
}
