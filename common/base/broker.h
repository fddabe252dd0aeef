/*
 * broker: a second process that does a few things for a process in a sandbox.
 *
 * A process that reads untrusted input gives up the right to create files and to start
 * programs. It still needs a temporary file, its output file, or a credential helper.
 * Before it enters the sandbox, it forks a broker. The broker keeps all rights, reads no
 * untrusted input, and answers only these requests:
 *
 *	fd = broker_tmpfile();
 *	result = broker_complete();
 *	pid = broker_spawn("docker-credential-pass", in, out);
 *	status = broker_wait(pid);
 *
 * broker_start() names the functions that do the work. The broker ends when the process
 * that started it ends, in any way. If the output is not complete then, the broker
 * discards it.
 */
#ifndef DT_BROKER_H
#define DT_BROKER_H

#include <stdbool.h>
#include <sys/types.h>

enum { BROKER_PROGRAM = 256 }; /* room for the name of a program */

/* The work of the broker. The functions run in the broker. */
struct broker_actions {
	/* Opens a temporary file. Returns -1 with errno set on failure. */
	int (*tmpfile)(void);
	/* Gives the output its name. Returns 0, or -1 with errno set. May be NULL. */
	int (*complete)(void);
	/* Removes the incomplete output. May be NULL. */
	void (*discard)(void);
	/* Starts `PROGRAM get`. Returns its PID, or -1 with errno set. May be NULL. */
	pid_t (*spawn)(const char *program, int in, int out);
};

/*
 * Starts the broker. The process must have a single thread, and at most one broker. The
 * broker keeps standard error, and no other file. Ends the process on failure.
 */
void broker_start(const struct broker_actions *actions);

/* Whether this process has a broker. */
bool broker_is_on(void);

/*
 * Requests to the broker. Several threads may call them. They return -1 with errno set on
 * failure, for example EPERM if the broker has no such action.
 */
int broker_tmpfile(void);
int broker_complete(void);
pid_t broker_spawn(const char *program, int in, int out);

/* Waits for the end of a program. Returns its status as of wait(2). */
int broker_wait(pid_t pid);

/*
 * Ends the broker and waits for it, so that it has discarded the output. Does nothing
 * without a broker. May be called in a signal handler.
 */
void broker_end(void);

#endif
