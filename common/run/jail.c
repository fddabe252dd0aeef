#include "run/jail.h"

#include "base/err.h"
#include "base/io.h"
#include "base/spawn.h"
#include "run/jail-private.h"
#include "run/report.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- running the script --- */

/* The first two words of the script's "#!" line, or empty strings. */
static void read_interpreter(char *program, char *arg, size_t size)
{
	char line[512], *p = line + 2;
	int fd = open("/.dt/script", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? io_read(fd, line, sizeof line - 1) : 0;

	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	program[0] = arg[0] = '\0';
	if (fd >= 0)
		close(fd);
	if (strncmp(line, "#!", 2) != 0)
		return;
	p += strspn(p, " \t");
	size_t len = strcspn(p, " \t");
	snprintf(program, size, "%.*s", (int)len, p);
	p += len + strspn(p + len, " \t");
	snprintf(arg, size, "%.*s", (int)strcspn(p, " \t"), p);
}

static bool is_shell(const char *program, const char *arg)
{
	static const char *const shells[] = {"sh", "bash", "dash", "ash"};
	const char *slash = strrchr(program, '/');
	const char *base = slash != NULL ? slash + 1 : program;

	if (strcmp(base, "env") == 0)
		base = arg;
	for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
		if (strcmp(base, shells[i]) == 0)
			return true;
	return false;
}

/*
 * Calls execve(2) with the script, or with `shell` and the script if `shell` is not NULL.
 */
static void execute(const char *shell)
{
	static char script[] = "/.dt/script";
	static char path[] =
	    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/.dt/bin";
	static char home[] = "HOME=/root", user[] = "USER=root",
		    logname[] = "LOGNAME=root";
	static char *const environment[] = {path, home, user, logname, NULL};
	char name[64];

	snprintf(name, sizeof name, "%s", shell != NULL ? shell : "");
	char *const words[] = {shell != NULL ? name : script,
			       shell != NULL ? script : NULL, NULL};
	execve(words[0], words, environment);
}

/* Replaces the process by the script. If that fails, reports why to `fd` and returns. */
static void become_script(int fd)
{
	static const char own_shell[] = "/.dt/bin/sh";
	char program[512], arg[512];

	read_interpreter(program, arg, sizeof program);
	if (program[0] != '\0' && access(program, X_OK) < 0 && is_shell(program, arg)) {
		execute(own_shell);
	} else {
		execute(NULL);
		if (errno == ENOEXEC && program[0] == '\0') {
			execute("/bin/sh");
			if (errno == ENOENT)
				execute(own_shell);
		}
	}
	int status = errno == ENOENT || errno == ENOTDIR ? 127 : 126;
	if (program[0] != '\0' && access(program, X_OK) < 0)
		report_send(fd, "REFUSED %d its interpreter %.200s: %s", status, program,
			    strerror(errno));
	else
		report_send(fd, "REFUSED %d %s", status, strerror(errno));
}

static _Noreturn void run_script(int fd)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	setsid();
	umask(022);
	become_script(fd);
	leave(126);
}

/* --- the first process of the PID namespace --- */

enum { STATUS_FD = STDERR_FILENO + 1, LINE = 4096 /* more than report_send() writes */ };

/*
 * Closes all descriptors except the script's and `fd`, which becomes STATUS_FD. The
 * script can open the descriptors of every process that it sees.
 */
static int drop_descriptors(const struct jail *j, int *fd, struct err *e)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(j->output, STDOUT_FILENO) < 0 || dup2(j->output, STDERR_FILENO) < 0 ||
	    (*fd != STATUS_FD && dup3(*fd, STATUS_FD, O_CLOEXEC) < 0))
		return err_set_errno(e, "the script's descriptors");
	*fd = STATUS_FD;
	if (close_range(STATUS_FD + 1, ~0U, 0) < 0)
		return err_set_errno(e, "the script's descriptors");
	return 0;
}

/*
 * Drops the capabilities with which the script could affect this machine. Without
 * CAP_SYS_PTRACE, it cannot inspect this process, because that is not dumpable. Without
 * CAP_SYS_ADMIN, it cannot remount or move read-only mounts.
 */
static int drop_rights(const struct jail *j, struct err *e)
{
	static const int lost_by_user[] = {CAP_SYS_PTRACE, CAP_SYS_ADMIN};
	static const int lost_by_root[] = {
	    CAP_SYS_PTRACE, CAP_SYS_MODULE,   CAP_SYS_RAWIO,
	    CAP_SYS_BOOT,   CAP_SYS_TIME,     CAP_SYSLOG,
	    CAP_MAC_ADMIN,  CAP_MAC_OVERRIDE, CAP_LINUX_IMMUTABLE};
	const int *lost = j->is_user_ns ? lost_by_user : lost_by_root;
	size_t n = j->is_user_ns   ? sizeof lost_by_user / sizeof *lost_by_user
		   : j->spare_host ? sizeof lost_by_root / sizeof *lost_by_root
				   : 0;

	for (size_t i = 0; i < n; i++)
		if (prctl(PR_CAPBSET_DROP, lost[i], 0, 0, 0) < 0)
			return err_set_errno(e, "capabilities");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set_errno(e, "capabilities");
	/*
	 * The script must not use the caller's keys, which are in the session keyring. If
	 * this fails, the kernel has no keyrings for the script either.
	 */
	syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	return 0;
}

/* Whether the process at the other end of the pipe `fd` has exited. */
static bool is_orphan(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) > 0 && (p.revents & POLLERR) != 0;
}

/* Sets up the first process of the namespaces. */
static int become_init(const struct jail *j, int *fd, struct err *e)
{
	if (sethostname("localhost", 9) < 0) {
		/* A container may forbid it. The script then sees the container's name.
		 */
	}
	if (jail_enter(j, e) < 0 || drop_descriptors(j, fd, e) < 0)
		return -1;
	return drop_rights(j, e);
}

/*
 * Runs the script until it exits, and reports how it ended to `fd`. Returns 0, or -1 and
 * a reason if that cannot be observed.
 */
static int watch_script(int fd, struct err *e)
{
	char line[LINE];
	int fds[2], status;
	pid_t script, gone;

	if (pipe2(fds, O_CLOEXEC) < 0 || (script = fork()) < 0)
		return err_set_errno(e, "starting the script");
	if (script == 0)
		run_script(fds[1]);
	close(fds[1]);
	/* There is a line only if the script could not be run. */
	ssize_t n = io_read(fds[0], line, sizeof line);
	while ((gone = waitpid(-1, &status, 0)) != script)
		if (gone < 0 && errno != EINTR)
			return err_set_errno(e, "waiting for the script");
	if (n <= 0)
		report_send_status(fd, status);
	else if (io_write(fd, line, (size_t)n) < 0)
		return err_set_errno(e, "waiting for the script");
	return 0;
}

/* When this process exits, the kernel kills all other processes of the namespace. */
static _Noreturn void run_init(const struct jail *j, int fd)
{
	struct err why;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (is_orphan(fd))
		leave(1);
	if (become_init(j, &fd, &why) < 0 || watch_script(fd, &why) < 0)
		report_send(fd, "ERROR %s", why.text);
	leave(0);
}

int jail_start(struct jail *j, struct err *e)
{
	const unsigned long flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET |
				    CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set_errno(e, "cannot create a pipe");
	j->pid = (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
	if (j->pid == 0) {
		close(fds[0]);
		run_init(j, fds[1]);
	}
	if (j->pid < 0)
		err_set_errno(e, "namespaces");
	close(fds[1]);
	j->fd = fds[0];
	return j->pid < 0 ? -1 : 0;
}

int jail_finish(struct jail *j, struct report *end, struct err *e)
{
	char line[LINE];
	ssize_t n = io_read(j->fd, line, sizeof line);

	kill(j->pid, SIGKILL);
	spawn_wait(j->pid);
	close(j->fd);
	*end = (struct report){0};
	int result = n > 0 ? report_parse(end, line, (size_t)n, e) : 0;
	report_release(end);
	if (result < 0)
		return -1;
	if (end->has_end)
		return 0;
	return err_set(e, "%s",
		       end->why[0] != '\0' ? end->why
					   : "the script's first process was killed");
}
