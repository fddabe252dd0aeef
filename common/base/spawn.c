#include "base/spawn.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The standard system directories. */
static const char standard[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* Searches the directories, which are separated by colons. */
static bool find_in(const char *path, const char *name, struct buf *file)
{
	for (const char *p = path; *p != '\0';) {
		size_t len = strcspn(p, ":");
		buf_clear(file);
		buf_addf(file, "%.*s/%s", (int)len, p, name);
		if (access(file->data, X_OK) == 0)
			return true;
		p += len + (p[len] == ':');
	}
	return false;
}

bool spawn_find(const char *name, struct buf *file)
{
	const char *path = getenv("PATH");

	return (path != NULL && find_in(path, name, file)) ||
	       find_in(standard, name, file);
}

/* Runs in the child. Returns only on failure, with errno set. */
static void become(const char *const argv[], int in, int out, int log, const int *keep,
		   size_t n)
{
	int null = open("/dev/null", O_RDWR);
	size_t n_words = 0;
	sigset_t none;

	if (null < 0)
		return;
	while (argv[n_words] != NULL)
		n_words++;
	char **words = mem_zero(n_words + 1, sizeof *words);
	for (size_t i = 0; i < n_words; i++)
		words[i] = mem_strdup(argv[i]);
	/*
	 * `in`, `out` and `log` may be 0, 1 or 2, so copy them before dup2() overwrites
	 * these.
	 */
	int in_copy = fcntl(in >= 0 ? in : null, F_DUPFD, 3);
	int out_copy = fcntl(out >= 0 ? out : null, F_DUPFD, 3);
	int log_copy = fcntl(log >= 0 ? log : null, F_DUPFD, 3);
	if (in_copy < 0 || out_copy < 0 || log_copy < 0 ||
	    dup2(in_copy, STDIN_FILENO) < 0 || dup2(out_copy, STDOUT_FILENO) < 0 ||
	    dup2(log_copy, STDERR_FILENO) < 0)
		return;
	syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
	for (size_t i = 0; i < n; i++)
		fcntl(keep[i], F_SETFD, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execvp(words[0], words);
	if (errno == ENOENT && setenv("PATH", standard, 1) == 0)
		execvp(words[0], words);
}

pid_t spawn_fork(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			leave(1);
	}
	return pid;
}

pid_t spawn_start(const char *const argv[], int in, int out, int log, const int *keep,
		  size_t n, struct err *e)
{
	int fds[2], why = 0;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set_errno(e, "cannot create a pipe");
	pid_t pid = spawn_fork();
	if (pid == 0) {
		become(argv, in, out, log, keep, n);
		why = errno;
		leave(io_write(fds[1], &why, sizeof why) == 0 ? 127 : 126);
	}
	close(fds[1]);
	if (pid > 0 && io_read(fds[0], &why, sizeof why) == sizeof why) {
		spawn_wait(pid);
		errno = why;
		pid = -1;
	}
	int saved = errno;
	close(fds[0]);
	errno = saved;
	if (pid < 0) {
		err_set_errno(e, "%s", argv[0]);
		errno = saved;
	}
	return pid;
}

int spawn_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

int spawn_run(const char *const argv[], int out, int log, const int *keep, size_t n,
	      struct err *e)
{
	pid_t pid = spawn_start(argv, -1, out, log, keep, n, e);

	if (pid < 0)
		return -1;
	int status = spawn_wait(pid);
	if (status < 0)
		return err_set_errno(e, "%s", argv[0]);
	if (WIFSIGNALED(status))
		return err_set(e, "%s: killed by signal %d", argv[0], WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return err_set(e, "%s: exit status %d", argv[0], WEXITSTATUS(status));
	return 0;
}
