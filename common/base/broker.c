#include "base/broker.h"

#include "base/err.h"
#include "base/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum what { TMPFILE, COMPLETE, SPAWN, WAIT };

struct request {
	enum what what;
	pid_t pid;
	char program[BROKER_PROGRAM];
};

/* If `result` is -1, `why` is an errno. */
struct reply {
	int result, why;
};

enum { FDS = FDPASS_MAX };

static int channel = -1; /* to the broker */
static pid_t broker;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void close_all(const int fds[FDS])
{
	for (int i = 0; i < FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* --- the broker --- */

/* Waits for the child. Kills it if the process in the sandbox ends before. */
static int wait_for(int client, pid_t pid)
{
	int status, child = (int)syscall(SYS_pidfd_open, pid, 0U);
	struct pollfd ready[] = {{.fd = child, .events = POLLIN}, {.fd = client}};

	while (child >= 0 && ready[0].revents == 0) {
		if (poll(ready, 2, -1) < 0 && errno != EINTR)
			break;
		if (ready[1].revents != 0) {
			kill(pid, SIGKILL);
			break;
		}
	}
	if (child >= 0)
		close(child);
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* Returns the result, or -1 with errno set. */
static int act(const struct broker_actions *actions, int client, const struct request *q,
	       const int fds[FDS])
{
	errno = EPERM;
	switch (q->what) {
	case TMPFILE:
		return actions->tmpfile();
	case COMPLETE:
		return actions->complete != NULL ? actions->complete() : -1;
	case SPAWN:
		if (actions->spawn == NULL || fds[0] < 0 || fds[1] < 0 ||
		    memchr(q->program, '\0', sizeof q->program) == NULL)
			return -1;
		return actions->spawn(q->program, fds[0], fds[1]);
	case WAIT:
		return q->pid > 0 ? wait_for(client, q->pid) : -1;
	}
	return -1;
}

static void serve(const struct broker_actions *actions, int client)
{
	struct request q;
	int fds[FDS];

	while (fdpass_receive(client, &q, sizeof q, fds) == 0) {
		struct reply r = {.result = act(actions, client, &q, fds)};
		bool has_file = q.what == TMPFILE && r.result >= 0;
		r.why = r.result < 0 ? errno : 0;
		close_all(fds);
		int sent = fdpass_send(client, &r, sizeof r, &r.result, has_file);
		if (has_file)
			close(r.result);
		if (sent < 0)
			break;
	}
}

/*
 * Keeps standard error and `client`. The other standard descriptors become /dev/null.
 * Returns the new number of `client`, or -1.
 */
static int keep_only(int client)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return -1;
	client = dup2(client, STDERR_FILENO + 1);
	syscall(SYS_close_range, (unsigned)client + 1, ~0U, 0U);
	fcntl(client, F_SETFD, FD_CLOEXEC);
	return client;
}

void broker_start(const struct broker_actions *actions)
{
	int ends[2];
	sigset_t all;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		die_errno("cannot create a socket");
	broker = fork();
	if (broker < 0)
		die_errno("cannot start a process");
	if (broker == 0) {
		prctl(PR_SET_NAME, "dt-broker"); /* for ps(1) */
		/* A signal to the group must not keep the broker from its last task. */
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		int client = keep_only(ends[1]);
		if (client >= 0)
			serve(actions, client);
		if (actions->discard != NULL)
			actions->discard();
		leave(0);
	}
	close(ends[1]);
	channel = ends[0];
}

/* --- the process in the sandbox --- */

bool broker_is_on(void)
{
	return channel >= 0;
}

/* Sends a request and receives the reply. Returns its result, or -1 with errno set. */
static int ask(struct request *q, const int *fds, size_t n)
{
	struct reply r = {.result = -1};
	int got[FDS] = {-1, -1};

	pthread_mutex_lock(&lock);
	int result = fdpass_send(channel, q, sizeof *q, fds, n);
	if (result == 0)
		result = fdpass_receive(channel, &r, sizeof r, got);
	pthread_mutex_unlock(&lock);
	if (result < 0)
		return -1;
	if (q->what == TMPFILE && r.result >= 0) {
		/* The kernel drops a descriptor for which the process has no room. */
		if (got[0] < 0)
			errno = EMFILE;
		return got[0];
	}
	errno = r.why;
	return r.result;
}

int broker_tmpfile(void)
{
	return ask(&(struct request){.what = TMPFILE}, NULL, 0);
}

int broker_complete(void)
{
	return ask(&(struct request){.what = COMPLETE}, NULL, 0);
}

pid_t broker_spawn(const char *program, int in, int out)
{
	struct request q = {.what = SPAWN};
	const int fds[FDS] = {in, out};

	if (strlen(program) >= sizeof q.program) {
		errno = ENAMETOOLONG;
		return -1;
	}
	snprintf(q.program, sizeof q.program, "%s", program);
	return ask(&q, fds, FDS);
}

int broker_wait(pid_t pid)
{
	return ask(&(struct request){.what = WAIT, .pid = pid}, NULL, 0);
}

void broker_end(void)
{
	if (channel < 0)
		return;
	shutdown(channel, SHUT_RDWR);
	while (waitpid(broker, NULL, 0) < 0 && errno == EINTR)
		continue;
}
