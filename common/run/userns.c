#include "run/userns.h"

#include "archive/xattrs.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/num.h"
#include "base/spawn.h"
#include "image/rootfs.h"
#include "run/busybox.h"
#include "run/changes.h"
#include "run/fusefs.h"
#include "run/jail.h"
#include "run/job.h"
#include "run/report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
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

/* --- the user namespace --- */

/* Finds the first range of IDs of this user in a file like /etc/subuid. */
static bool find_range(const char *file, uid_t uid, char *start, char *count, size_t size)
{
	const struct passwd *user = getpwuid(uid);
	struct buf text = {0};
	char id[16];
	bool found = false;

	snprintf(id, sizeof id, "%u", (unsigned)uid);
	if (io_slurp_file(file, &text, 1 << 20) < 0)
		buf_clear(&text);
	for (char *line = text.len > 0 ? text.data : NULL;
	     line != NULL && *line != '\0' && !found;) {
		char *end = line + strcspn(line, "\n"),
		     *next = *end != '\0' ? end + 1 : end;
		*end = '\0';
		char *first = strchr(line, ':');
		char *second = first != NULL ? strchr(first + 1, ':') : NULL;
		if (second != NULL) {
			*first++ = *second++ = '\0';
			found = strcmp(line, id) == 0 ||
				(user != NULL && strcmp(line, user->pw_name) == 0);
			snprintf(start, size, "%s", first);
			snprintf(count, size, "%s", second);
		}
		line = next;
	}
	buf_release(&text);
	return found;
}

/*
 * Maps IDs with newuidmap(1) and newgidmap(1). Runs in a child process, because they
 * cannot be run from inside the user namespace. A byte from `ready` means that the
 * namespace exists.
 */
static _Noreturn void map_by_helper(pid_t pid, uid_t uid, gid_t gid, int ready)
{
	char of[16], own_uid[16], own_gid[16], go;
	char start[2][32], count[2][32];
	struct err why;

	if (io_read(ready, &go, 1) != 1 ||
	    !find_range("/etc/subuid", uid, start[0], count[0], sizeof count[0]) ||
	    !find_range("/etc/subgid", uid, start[1], count[1], sizeof count[1]))
		leave(1);
	snprintf(of, sizeof of, "%d", (int)pid);
	snprintf(own_uid, sizeof own_uid, "%u", (unsigned)uid);
	snprintf(own_gid, sizeof own_gid, "%u", (unsigned)gid);
	const char *const uids[] = {"newuidmap", of,       "0",      own_uid, "1",
				    "1",         start[0], count[0], NULL};
	const char *const gids[] = {"newgidmap", of,       "0",      own_gid, "1",
				    "1",         start[1], count[1], NULL};
	leave(spawn_run(uids, -1, -1, NULL, 0, &why) < 0 ||
	      spawn_run(gids, -1, -1, NULL, 0, &why) < 0);
}

static int write_file(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	int result = fd >= 0 ? io_write(fd, text, strlen(text)) : -1;

	if (fd >= 0)
		close(fd);
	return result;
}

/* Maps only this user and group, to root. */
static int map_self(uid_t uid, gid_t gid)
{
	char map[64];

	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
	if (write_file("/proc/self/uid_map", map) < 0)
		return -1;
	snprintf(map, sizeof map, "0 %u 1", (unsigned)gid);
	return write_file("/proc/self/gid_map", map);
}

static int enter_user_ns(struct err *e)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int ready[2], status = 1;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return err_set_errno(e, "cannot create a pipe");
	pid_t self = getpid(), pid = fork();
	if (pid == 0) {
		close(ready[1]);
		map_by_helper(self, uid, gid, ready[0]);
	}
	close(ready[0]);
	if (unshare(CLONE_NEWUSER) < 0) {
		close(ready[1]);
		return err_set_errno(e, "cannot set up a user namespace");
	}
	if (pid > 0 && io_write(ready[1], "g", 1) == 0)
		status = spawn_wait(pid);
	close(ready[1]);
	if (status != 0 && map_self(uid, gid) < 0)
		return err_set_errno(e, "cannot set up a user namespace");
	if (status == 0)
		setgroups(0, NULL);
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_set_errno(e, "cannot set up a user namespace");
	prctl(PR_SET_DUMPABLE, 1);
	return 0;
}

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
	return enter_user_ns(e) < 0 ? -1 : enter_mount_ns(e);
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
 * Removes the stage. Each directory is moved to the top of the stage before it is
 * removed, so that any depth needs only two descriptors.
 */
static void remove_stage(const char *stage)
{
	int top = open(stage, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = io_opendir(top);
	struct dirent *d;
	size_t moved = 0, removed = 1;

	while (dir != NULL && removed > 0) {
		removed = 0;
		rewinddir(dir);
		while ((d = readdir(dir)) != NULL) {
			if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
				continue;
			empty(top, d->d_name, &moved);
			removed += unlinkat(top, d->d_name, AT_REMOVEDIR) == 0;
		}
	}
	if (dir != NULL)
		closedir(dir);
	if (rmdir(stage) < 0)
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

/* --- files that cannot be shown --- */

/* The IDs of this user namespace. Linux allows at most 340 ranges. */
struct ids {
	struct {
		unsigned long first, count;
	} range[340];
	size_t n;
};

/* Parses a file like /proc/self/uid_map. */
static int read_ids(const char *file, struct ids *ids)
{
	struct buf map = {0};
	unsigned long first, outside, count;

	ids->n = 0;
	if (io_slurp_file(file, &map, 65536) < 0)
		return -1;
	for (const char *line = map.data;
	     line != NULL && ids->n < sizeof ids->range / sizeof *ids->range &&
	     sscanf(line, "%lu %lu %lu", &first, &outside, &count) == 3;) {
		ids->range[ids->n].first = first;
		ids->range[ids->n++].count = count;
		line = strchr(line, '\n');
		line += line != NULL;
	}
	buf_release(&map);
	return 0;
}

static bool has_id(const struct ids *ids, uint64_t id)
{
	for (size_t i = 0; i < ids->n; i++)
		if (id >= ids->range[i].first &&
		    id - ids->range[i].first < ids->range[i].count)
			return true;
	return false;
}

/* Checks that the overlay can show a file as it is in the image. */
static int check_file(const struct keeper *k, const struct rootfs_inode *inode,
		      const struct ids *uids, const struct ids *gids, struct err *e)
{
	const char *p = k->job->rootfs->text.data + inode->xattrs;
	size_t len = inode->xattrs_len;
	struct xattr xattr;

	if (!has_id(uids, inode->uid) || !has_id(gids, inode->gid))
		return err_set(e,
			       "its owner %" PRIu64 ":%" PRIu64 " does not exist in this "
			       "user namespace; /etc/subuid and /etc/subgid can add it",
			       inode->uid, inode->gid);
	while (k->jail.is_user_ns && xattrs_next(&p, &len, &xattr))
		if (strncmp(xattr.name, "trusted.", 8) == 0 &&
		    !xattrs_is_overlay(xattr.name))
			return err_set(e, "its attribute %s is not for user namespaces",
				       xattr.name);
	return 0;
}

static int check_tree(const struct keeper *k, struct err *e)
{
	const struct rootfs *r = k->job->rootfs;
	struct ids uids, gids;
	struct buf path = {0};
	int result = 0;

	if (read_ids("/proc/self/uid_map", &uids) < 0 ||
	    read_ids("/proc/self/gid_map", &gids) < 0)
		return err_set_errno(e, "/proc/self/uid_map");
	for (size_t i = 0; i < r->n_order && result == 0; i++) {
		result = check_file(k, rootfs_inode(r, r->order[i]), &uids, &gids, e);
		if (result == 0)
			continue;
		rootfs_path(r, r->order[i], &path);
		err_prefix(e, "%s", path.len > 0 ? path.data : "/");
	}
	buf_release(&path);
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
	    check_tree(k, e) < 0 ||
	    fusefs_mount(&k->lower, k->job->rootfs, "lower", e) < 0 ||
	    jail_mount(&k->jail, e) < 0)
		return -1;
	report_send(k->control, "HELLO " DT_VERSION " -");
	return 0;
}

/* The worker. */
static _Noreturn void work(struct keeper *k, pid_t parent)
{
	struct err why;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		leave(1);
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
	pid_t self = getpid(), child = -1;

	ignore_signals();
	raise_limits();
	int result = prepare(k, &why);
	if (result == 0) {
		child = fork();
		if (child == 0)
			work(k, self);
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
