#include "base/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS = 80, ROWS = 24, GO_UP = 32 /* length of a sequence */ };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for the variables below */
static size_t drawn;                                     /* lines on the terminal */
static bool is_taken, is_closed;

/* A forked child has drawn nothing, and no thread that would unlock the mutex. */
static void after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	drawn = 0;
	is_taken = false;
}

static void at_first(void)
{
	pthread_atfork(NULL, NULL, after_fork);
}

static void acquire(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, at_first);
	pthread_mutex_lock(&lock);
}

bool terminal_is_usable(void)
{
	static _Atomic int usable = -1;
	int result = usable;

	if (result < 0) {
		const char *term = getenv("TERM");
		result = term != NULL && *term != '\0' && strcmp(term, "dumb") != 0 &&
			 isatty(STDERR_FILENO);
		usable = result;
	}
	return result == 1;
}

void terminal_size(size_t *columns, size_t *rows)
{
	struct winsize size = {0};
	bool is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0;

	*columns = is_known && size.ws_col > 0 ? size.ws_col : COLUMNS;
	*rows = is_known && size.ws_row > 0 ? size.ws_row : ROWS;
}

void terminal_write(const char *text, size_t len)
{
	struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
	int waits = 0;

	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, text, len);
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN && waits++ < 3) {
			poll(&ready, 1, 1000);
		} else if (n == 0 || errno != EINTR) {
			return;
		}
	}
}

static bool set_lock(short type, int command, struct flock *l)
{
	*l = (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_len = 1};
	return fcntl(STDERR_FILENO, command, l) == 0;
}

/* Whether another process draws now. */
static bool is_in_use(void)
{
	struct flock l;

	return set_lock(F_WRLCK, F_GETLK, &l) && l.l_type != F_UNLCK;
}

bool terminal_take(void)
{
	struct flock l;

	acquire();
	/* Without locks, several processes may draw. */
	if (!is_taken)
		is_taken = set_lock(F_WRLCK, F_SETLK, &l) ||
			   (errno != EAGAIN && errno != EACCES);
	bool result = is_taken;
	pthread_mutex_unlock(&lock);
	return result;
}

/* Moves the cursor to the first of the lines. Returns the length of the sequence. */
static size_t go_up(char text[GO_UP])
{
	return (size_t)(drawn > 1 ? snprintf(text, GO_UP, "\r\033[%zuA", drawn - 1)
				  : snprintf(text, GO_UP, "\r"));
}

/* Removes the lines. */
static void erase(void)
{
	char text[GO_UP + sizeof "\033[J"];

	if (drawn == 0)
		return;
	size_t len = go_up(text);
	memcpy(text + len, "\033[J", 3);
	terminal_write(text, len + 3);
	drawn = 0;
}

void terminal_draw(const char *text, size_t len, size_t n)
{
	enum { ROOM = 8 }; /* for the sequences of a line */

	acquire();
	/* All is written at once, so that no half of it is visible. */
	char *out = is_closed ? NULL : malloc(len + ROOM * (n + 1) + GO_UP);
	if (out != NULL) {
		size_t at = go_up(out);
		for (const char *end = text + len; text < end;) {
			const char *newline = memchr(text, '\n', (size_t)(end - text));
			size_t line = (size_t)((newline != NULL ? newline : end) - text);
			memcpy(out + at, text, line);
			at += line;
			memcpy(out + at, newline != NULL ? "\033[K\n" : "\033[J", 4);
			at += newline != NULL ? 4 : 3;
			text += line + (newline != NULL);
		}
		terminal_write(out, at);
		free(out);
		drawn = n;
	}
	pthread_mutex_unlock(&lock);
}

void terminal_leave(void)
{
	struct flock l;

	acquire();
	erase();
	if (is_taken)
		set_lock(F_UNLCK, F_SETLK, &l);
	is_taken = false;
	pthread_mutex_unlock(&lock);
}

/* Removes the line in which another process has drawn, so that a message has its own. */
static void erase_other(void)
{
	static const char text[] = "\r\033[K";

	if (terminal_is_usable() && is_in_use())
		terminal_write(text, sizeof text - 1);
}

void terminal_lock(void)
{
	acquire();
	erase();
	if (!is_taken)
		erase_other();
}

void terminal_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void terminal_close(void)
{
	terminal_lock();
	is_closed = true;
	terminal_unlock();
}
