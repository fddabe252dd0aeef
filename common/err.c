#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_MAX = 8192 };

static const char *tool_name = "dt";
static int die_status = 1, usage_status = 2;

void err_init(const char *tool)
{
	tool_name = tool;
}

void err_status(int status)
{
	die_status = usage_status = status;
}

void leave(int status)
{
	_exit(status);
}

const char *err_tool(void)
{
	return tool_name;
}

/* Appends `s` to out[0..*len), control bytes as \ooo; leaves room for a newline. */
static void append(char *out, size_t *len, const char *s)
{
	for (; *s != '\0' && *len < MESSAGE_MAX - 5; s++) {
		unsigned char c = (unsigned char)*s;
		if (c < 0x20 || c == 0x7f)
			*len += (size_t)snprintf(out + *len, 5, "\\%03o", (unsigned)c);
		else
			out[(*len)++] = (char)c;
	}
}

/* One write(2) a message, so that messages of several tools do not mix. */
static void message(const char *fmt, va_list ap, const char *tail)
{
	char text[MESSAGE_MAX], line[MESSAGE_MAX];
	size_t len = 0;

	vsnprintf(text, sizeof text, fmt, ap);
	append(line, &len, tool_name);
	append(line, &len, ": ");
	append(line, &len, text);
	if (tail != NULL) {
		append(line, &len, ": ");
		append(line, &len, tail);
	}
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* nobody is left to tell */
}

int err_set(struct err *e, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return -1;
}

int err_set_errno(struct err *e, const char *fmt, ...)
{
	const char *reason = strerror(errno);
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof e->text)
		snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", reason);
	return -1;
}

void warn(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	message(fmt, ap, NULL);
	va_end(ap);
}

void die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	message(fmt, ap, NULL);
	va_end(ap);
	_exit(die_status);
}

void die_errno(const char *fmt, ...)
{
	const char *reason = strerror(errno);
	va_list ap;
	va_start(ap, fmt);
	message(fmt, ap, reason);
	va_end(ap);
	_exit(die_status);
}

void die_usage(const char *fmt, ...)
{
	char hint[256];
	snprintf(hint, sizeof hint, "try '%s --help'", tool_name);
	va_list ap;
	va_start(ap, fmt);
	message(fmt, ap, hint);
	va_end(ap);
	_exit(usage_status);
}
