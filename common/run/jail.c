#include "run/jail.h"

#include "archive/xattrs.h"
#include "base/err.h"
#include "base/io.h"
#include "base/spawn.h"
#include "run/copytree.h"
#include "run/report.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

const char *const jail_points[] = {"dev", "proc", "sys", ".dt", NULL};

/* --- the overlay --- */

/* The target of copied extended attributes. */
struct copy {
	const char *to;
	struct err *e;
};

static int copy_attribute(void *arg, const struct xattr *x)
{
	const struct copy *c = arg;

	if (xattrs_is_own(x->name) && setxattr(c->to, x->name, x->value, x->len, 0) < 0) {
		err_set_errno(c->e, "the root directory: %s", x->name);
		return 1;
	}
	return 0;
}

/*
 * Copies owner, mode and extended attributes. The upper directory becomes the image's
 * root, so it must have those of the lower one.
 */
static int copy_attributes(const char *from, const char *to, struct err *e)
{
	struct copy copy = {to, e};
	struct stat st;
	int result;

	if (stat(from, &st) < 0 || chown(to, st.st_uid, st.st_gid) < 0 ||
	    chmod(to, st.st_mode & 07777) < 0)
		return err_set_errno(e, "the root directory");
	result = xattrs_read(from, copy_attribute, &copy);
	if (result < 0)
		err_set_errno(e, "the root directory");
	return result == 0 ? 0 : -1;
}

static int mount_overlay(const struct jail *j, struct err *e)
{
	char options[512];

	if (mkdir("disk/upper", 0755) < 0 || mkdir("disk/work", 0755) < 0 ||
	    (mkdir("root", 0755) < 0 && errno != EEXIST))
		return err_set_errno(e, "cannot prepare the overlay");
	if (copy_attributes("lower", "disk/upper", e) < 0)
		return -1;
	snprintf(options, sizeof options,
		 "lowerdir=lower,upperdir=disk/upper,workdir=disk/work,"
		 "index=off,metacopy=off,xino=off%s%s%s",
		 j->is_user_ns ? ",userxattr" : ",redirect_dir=off",
		 j->options != NULL ? "," : "", j->options != NULL ? j->options : "");
	if (mount("overlay", "root", "overlay", MS_NOATIME, options) < 0)
		return err_set_errno(e, "mounting an overlay");
	return 0;
}

int jail_mount(const struct jail *j, struct err *e)
{
	if (mount_overlay(j, e) < 0)
		return -1;
	return j->tree != NULL ? copytree_tree(j->tree, "root", e) : 0;
}

int jail_unmount(struct err *e)
{
	if (umount2("root", 0) == 0)
		return 0;
	return err_set_errno(e, "unmounting the overlay");
}

/* --- mounts for the script --- */

/*
 * Opens a mount point in the image. Symlinks are followed inside the image, and so is an
 * absolute `path`.
 */
static int open_point(const char *path, struct err *e)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	int root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);

	if (fd < 0)
		err_set_errno(e, "%s in the image", path);
	close(root);
	return fd;
}

/* Calls mount(2) with a path of the image as target. */
static int mount_at(const char *from, const char *path, const char *type,
		    unsigned long flags, const char *options, struct err *e)
{
	char at[64];
	int fd = open_point(path, e);

	if (fd < 0)
		return -1;
	snprintf(at, sizeof at, "/proc/self/fd/%d", fd);
	int result = mount(from, at, type, flags, options);
	if (result < 0)
		err_set_errno(e, "mounting /%s", path);
	close(fd);
	return result;
}

/*
 * Binds the directory or file `from` read-only to a path of the image, including the
 * mounts below it. If `from` is empty, the descriptor `dir` itself is bound.
 */
static int bind_at(int dir, const char *from, const char *path, struct err *e)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					      MOUNT_ATTR_NODEV};
	int point = open_point(path, e), result = 0;
	int tree =
	    open_tree(dir, from,
		      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);

	if (point < 0)
		result = -1;
	else if (tree < 0 ||
		 mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
			       sizeof attr) < 0 ||
		 move_mount(tree, "", point, "",
			    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		result = err_set_errno(e, "mounting %s in the image", path);
	if (point >= 0)
		close(point);
	if (tree >= 0)
		close(tree);
	return result;
}

static const struct device {
	const char *name;
	unsigned major, minor;
} devices[] = {{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
	       {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};

/* Makes a device, or binds the machine's if a user namespace does not allow that. */
static int make_device(int dev, const struct device *d, struct err *e)
{
	char from[32], at[64];

	if (mknodat(dev, d->name, S_IFCHR | 0666, makedev(d->major, d->minor)) == 0)
		return 0;
	int fd = openat(dev, d->name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	snprintf(from, sizeof from, "/dev/%s", d->name);
	snprintf(at, sizeof at, "/proc/self/fd/%d/%s", dev, d->name);
	if (fd < 0 || mount(from, at, NULL, MS_BIND, NULL) < 0)
		return err_set_errno(e, "%s", from);
	close(fd);
	return 0;
}

static int fill_dev(struct err *e)
{
	static const char *const links[][2] = {{"/proc/self/fd", "fd"},
					       {"/proc/self/fd/0", "stdin"},
					       {"/proc/self/fd/1", "stdout"},
					       {"/proc/self/fd/2", "stderr"},
					       {"pts/ptmx", "ptmx"}};
	int point = open_point("dev", e);
	int dev =
	    point >= 0 ? openat(point, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int result = dev < 0 ? -1 : 0;

	for (size_t i = 0; i < sizeof devices / sizeof *devices && result == 0; i++)
		result = make_device(dev, &devices[i], e);
	for (size_t i = 0; i < sizeof links / sizeof *links && result == 0; i++)
		if (symlinkat(links[i][0], dev, links[i][1]) < 0)
			result = err_set_errno(e, "/dev/%s", links[i][1]);
	if (result == 0 && (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 0) < 0 ||
			    fchmodat(dev, "shm", 01777, 0) < 0))
		result = err_set_errno(e, "/dev");
	close(point);
	close(dev);
	return result;
}

/* Makes a path of the image read-only. */
static int protect(const char *path, struct err *e)
{
	int fd = open_point(path, e);
	int result = fd < 0 ? -1 : bind_at(fd, "", path, e);

	if (fd >= 0)
		close(fd);
	return result;
}

/* Protects the settings of the machine's kernel, which root could change. */
static int guard_host(struct err *e)
{
	if (access("/proc/sysrq-trigger", F_OK) == 0 &&
	    protect("proc/sysrq-trigger", e) < 0)
		return -1;
	return protect("proc/sys", e);
}

static int mount_all(const struct jail *j, struct err *e)
{
	const unsigned long no = MS_NOSUID | MS_NOEXEC | MS_NODEV;
	struct err why;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set_errno(e, "cannot set up a mount namespace");
	if (bind_at(AT_FDCWD, "dt", ".dt", e) < 0 ||
	    mount_at("dev", "dev", "tmpfs", MS_NOSUID, "mode=755", e) < 0 ||
	    fill_dev(e) < 0 ||
	    mount_at("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		     "newinstance,ptmxmode=0666,mode=620", e) < 0)
		return -1;
	for (size_t i = 0; i < j->n_binds; i++)
		if (bind_at(AT_FDCWD, j->bind[i].from, j->bind[i].to, e) < 0)
			return -1;
	if (mount_at("proc", "proc", "proc", no, NULL, e) < 0)
		return -1;
	mount_at("sys", "sys", "sysfs", no | MS_RDONLY, NULL, &why); /* optional */
	return j->spare_host ? guard_host(e) : 0;
}

/* Makes the image the root directory, and the previous root unreachable. */
static int enter_root(const struct jail *j, struct err *e)
{
	if (chdir("root") < 0)
		return err_set_errno(e, "the root directory");
	if (syscall(SYS_pivot_root, ".", ".") == 0)
		return umount2(".", MNT_DETACH) < 0 || chdir("/") < 0
			   ? err_set_errno(e, "the root directory")
			   : 0;
	/*
	 * An initramfs cannot be unmounted. It stays below the image, where root can find
	 * it.
	 */
	if (j->is_user_ns)
		return err_set_errno(e, "leaving this machine's root directory");
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_set_errno(e, "the root directory");
	return 0;
}

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
	sethostname("localhost", 9);
	if (mount_all(j, e) < 0 || enter_root(j, e) < 0 ||
	    drop_descriptors(j, fd, e) < 0 || drop_rights(j, e) < 0)
		return -1;
	return 0;
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
