/*
 * tap: what a unit test prints (testanything.org) and how it checks.
 *
 * A test's main calls tap_ok() and the like, and returns tap_done().
 */
#ifndef DT_TAP_H
#define DT_TAP_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int tap_count, tap_failed;

/* Checks that `good` holds; returns it. */
static inline bool tap_ok(bool good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++tap_count, what);
	fflush(stdout);
	tap_failed += !good;
	return good;
}

/* Checks that two strings, of which the first may be NULL, are equal. */
static inline void tap_is(const char *got, const char *want, const char *what)
{
	if (!tap_ok(got != NULL && strcmp(got, want) == 0, what))
		printf("#  got '%s'\n# want '%s'\n", got != NULL ? got : "(NULL)", want);
}

static inline void tap_int(long long got, long long want, const char *what)
{
	if (!tap_ok(got == want, what))
		printf("#  got %lld\n# want %lld\n", got, want);
}

/* Checks that work(arg) ends the process with `status` and says so on stderr. */
static inline void tap_dies(int status, void (*work)(const char *arg), const char *arg,
			    const char *what)
{
	int wait_status = 0, said[2];
	char text[4096];

	fflush(stdout);
	if (pipe(said) < 0)
		abort();
	pid_t child = fork();
	if (child == 0) {
		dup2(said[1], STDERR_FILENO);
		work(arg);
		_exit(0);
	}
	close(said[1]);
	ssize_t len = read(said[0], text, sizeof text);
	close(said[0]);
	bool died = waitpid(child, &wait_status, 0) == child && WIFEXITED(wait_status) &&
		    WEXITSTATUS(wait_status) == status;
	tap_ok(died && len > 0 && text[len - 1] == '\n', what);
}

/* Prints the plan; what main returns. */
static inline int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed == 0 && fflush(stdout) == 0 ? 0 : 1;
}

#endif
