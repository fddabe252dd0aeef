#include "run/userns.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/spawn.h"
#include "run/busybox.h"
#include "run/changes.h"
#include "run/fusefs.h"
#include "run/jail.h"
#include "run/job.h"
#include "run/report.h"
#include "run/userns-private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Three processes run a script:
 *
 *   - The keeper enters the user namespace, makes the stage, and removes it after all
 *     other processes have exited. Nothing is mounted on the stage in its mount
 *     namespace.
 *   - The worker, its child, has its own mount namespace, with the stage as working
 *     directory. It mounts the image and writes the layer.
 *   - The first process of the script's PID namespace, see jail.h.
 */
struct keeper {
	const struct job *job;
	struct jail jail;
	struct fusefs lower;
	char stage[PATH_MAX];
	int life;    /* closed when dt-vmrun exits */
	int control; /* for the lines of report.h */
};

/* --- the namespaces --- */

static int enter_mount_ns(struct err *e)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set_errno(e, "cannot set up a mount namespace");
	return 0;
}

/* Whether this is the initial user namespace, so that root is the machine's root. */
static bool is_first_user_ns(void)
{
	static const ino_t first = 0xEFFFFFFDU; /* Linux, include/linux/proc_ns.h */
	struct stat st;

	return stat("/proc/self/ns/user", &st) == 0 && st.st_ino == first;
}

/* Root needs no user namespace, unless it lacks the right to mount. */
static int enter_namespaces(struct keeper *k, struct err *e)
{
	if (geteuid() == 0 && enter_mount_ns(e) == 0) {
		k->jail.spare_host = is_first_user_ns();
		k->jail.is_user_ns = !k->jail.spare_host;
		return 0;
	}
	k->jail.is_user_ns = true;
	return userns_enter(e) < 0 ? -1 : enter_mount_ns(e);
}

/* --- the stage --- */

/*
 * Moves the subdirectories of the directory `name` to `top`, and removes its other
 * entries.
 */
static void empty(int top, const char *name, size_t *moved)
{
	int fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = io_opendir(fd);
	struct dirent *d;
	char as[32];

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
		    unlinkat(fd, d->d_name, 0) == 0)
			continue;
		snprintf(as, sizeof as, "%zu", (*moved)++);
		renameat(fd, d->d_name, top, as);
	}
	if (dir != NULL)
		closedir(dir);
}

/*
 * Removes the contents of the stage. Each directory is moved to the top of the stage
 * before it is removed, so that any depth needs only two descriptors.
 */
static void empty_stage(const char *stage, size_t *moved)
{
	int top = open(stage, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = io_opendir(top);
	struct dirent *d;
	size_t removed = 1;

	while (dir != NULL && removed > 0) {
		removed = 0;
		rewinddir(dir);
		while ((d = readdir(dir)) != NULL) {
			if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
				continue;
			empty(top, d->d_name, moved);
			removed += unlinkat(top, d->d_name, AT_REMOVEDIR) == 0;
		}
	}
	if (dir != NULL)
		closedir(dir);
}

/* Tries again after an error, so that a temporary one leaves nothing. */
static void remove_stage(const char *stage)
{
	size_t moved = 0;
	int result = -1;

	for (int try = 0; try < 3 && result < 0; try++) {
		empty_stage(stage, &moved);
		result = rmdir(stage);
	}
	if (result < 0)
		warn("%s: cannot be removed: %s", stage, strerror(errno));
}

static int make_stage(struct keeper *k, struct err *e)
{
	const char *dir = io_tmpdir();
	int n = snprintf(k->stage, sizeof k->stage, "%s/dt-vmrun.XXXXXX", dir);

	if (n >= (int)sizeof k->stage)
		errno = ENAMETOOLONG;
	else if (mkdtemp(k->stage) != NULL)
		return 0;
	err_set_errno(e, "%s", dir);
	k->stage[0] = '\0';
	return -1;
}

static int enter_stage(const struct keeper *k, struct err *e)
{
	static const char *const made[] = {"lower", "disk", "root", "dt"};

	if (chdir(k->stage) < 0)
		return err_set_errno(e, "%s", k->stage);
	for (size_t i = 0; i < sizeof made / sizeof *made; i++)
		if (mkdir(made[i], 0755) < 0)
			return err_set_errno(e, "%s/%s", k->stage, made[i]);
	return 0;
}

static int make_file(const char *name, int from, const struct buf *text, struct err *e)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	int result = fd < 0         ? -1
		     : text != NULL ? io_write(fd, text->data, text->len)
		     : io_copy(from, &(off_t){0}, fd, INT64_MAX) < 0 ? -1
								     : 0;

	if (fd >= 0 && close(fd) < 0)
		result = -1;
	return result < 0 ? err_set_errno(e, "%s", name) : 0;
}

static int fill_dt(const struct keeper *k, struct err *e)
{
	struct buf names = {0};
	if (mount("tmpfs", "dt", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0 ||
	    mkdir("dt/bin", 0755) < 0)
		return err_set_errno(e, "mounting a tmpfs");
	int fd = busybox_open(&names, e), result = fd < 0 ? -1 : 0;
	int bin = open("dt/bin", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (result == 0)
		result = make_file("dt/bin/busybox", fd, NULL, e);
	if (result == 0)
		result = make_file("dt/script", -1, &k->job->script, e);
	for (size_t i = 0; result == 0 && i < names.len; i += strlen(names.data + i) + 1)
		if (symlinkat("busybox", bin, names.data + i) < 0)
			result = err_set_errno(e, "dt/bin/%s", names.data + i);
	if (fd >= 0)
		close(fd);
	close(bin);
	buf_release(&names);
	return result;
}

/* --- the run --- */

static int run_script(struct keeper *k, struct err *e)
{
	struct report end;

	report_send(k->control, "READY");
	int result = jail_start(&k->jail, e);
	close(k->jail.output);
	if (result < 0 || jail_finish(&k->jail, &end, e) < 0)
		return -1;
	report_send_free(k->control, "disk");
	if (jail_unmount(e) < 0 || fusefs_check(&k->lower, e) < 0)
		return -1;
	return report_send_end(k->control, &end) ? 1 : 0;
}

static int write_layer(const struct keeper *k, struct err *e)
{
	struct changes changes = {.mtime = k->job->mtime, .out = k->job->layer};

	changes.limit = k->job->disk << 20;
	changes.upper = open("disk/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	changes.lower = open("lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (changes.upper < 0 || changes.lower < 0)
		return err_set_errno(e, "cannot read the changes of the script");
	if (changes_layer(&changes, e) < 0)
		return changes.size > changes.limit
			   ? err_set(e, "the changes are larger than %" PRIu64 " MiB",
				     k->job->disk)
			   : -1;
	if (fusefs_check(&k->lower, e) < 0)
		return -1;
	report_send(k->control, "LAYER %" PRIu64, changes.size);
	return 0;
}

static int set_up(struct keeper *k, struct err *e)
{
	if (enter_mount_ns(e) < 0 || enter_stage(k, e) < 0 || fill_dt(k, e) < 0 ||
	    userns_check(k->job->rootfs, k->jail.is_user_ns, e) < 0 ||
	    fusefs_mount(&k->lower, k->job->rootfs, "lower", e) < 0 ||
	    jail_mount(&k->jail, e) < 0)
		return -1;
	report_send(k->control, "HELLO " DT_VERSION " -");
	return 0;
}

/* The worker. */
static _Noreturn void work(struct keeper *k)
{
	struct err why;

	k->jail.bind = k->job->bind;
	k->jail.n_binds = k->job->n_binds;
	k->jail.tree = k->job->tree;
	k->jail.options = "volatile"; /* otherwise the complete disk is synced */
	int result = set_up(k, &why);
	if (result == 0)
		result = run_script(k, &why);
	if (result == 1)
		result = write_layer(k, &why);
	if (result < 0)
		report_send(k->control, "ERROR %s", why.text);
	leave(0);
}

/* --- the keeper --- */

/* The terminal's signals are handled by dt-vmrun. */
static void ignore_signals(void)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGPIPE, SIGTSTP};

	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		signal(ignored[i], SIG_IGN);
}

static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

/*
 * Waits until the worker or dt-vmrun has exited, or dt-vmrun stops the run. Then kills
 * the worker. The worker's processes become children of this process, and are waited for.
 */
static void wait_for_all(const struct keeper *k, pid_t child)
{
	struct pollfd fds[2] = {{.fd = k->life, .events = POLLIN},
				{.fd = pidfd_open(child, 0), .events = POLLIN}};

	while (fds[1].fd >= 0 && fds[0].revents == 0 && fds[1].revents == 0)
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
	kill(child, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		continue;
}

static int prepare(struct keeper *k, struct err *e)
{
	umask(0);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_set_errno(e, "the scratch directory's keeper");
	return enter_namespaces(k, e) < 0 ? -1 : make_stage(k, e);
}

static _Noreturn void keep(struct keeper *k)
{
	struct err why;
	pid_t child = -1;

	ignore_signals();
	raise_limits();
	int result = prepare(k, &why);
	if (result == 0) {
		child = spawn_fork();
		if (child == 0)
			work(k);
		if (child < 0)
			result = err_set_errno(&why, "fork");
	}
	if (result < 0)
		report_send(k->control, "ERROR %s", why.text);
	close(k->control);
	close(k->jail.output);
	if (child > 0)
		wait_for_all(k, child);
	if (k->stage[0] != '\0')
		remove_stage(k->stage);
	leave(0);
}

/* --- dt-vmrun's side --- */

int userns_run(const struct job *j, struct report *t, struct err *e)
{
	struct keeper k = {.job = j};
	struct job_run run = {.end = job_end(j)};
	int life[2], control[2], output[2];

	if (pipe2(life, O_CLOEXEC) < 0 || pipe2(control, O_CLOEXEC) < 0 ||
	    pipe2(output, O_CLOEXEC) < 0)
		return err_set_errno(e, "cannot create a pipe");
	k.life = life[0];
	k.control = control[1];
	k.jail.output = output[1];
	pid_t pid = fork();
	if (pid == 0) {
		close(life[1]);
		close(control[0]);
		close(output[0]);
		keep(&k);
	}
	close(life[0]);
	close(control[1]);
	close(output[1]);
	run.control = control[0];
	run.output = output[0];
	int result = pid < 0 ? err_set_errno(e, "fork") : job_listen(j, &run, t, e);
	close(life[1]);
	close(control[0]);
	close(output[0]);
	if (pid > 0)
		spawn_wait(pid);
	return result;
}
