#include "run/jail.h"

#include "archive/xattrs.h"
#include "base/err.h"
#include "run/copytree.h"
#include "run/jail-private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
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

int jail_enter(const struct jail *j, struct err *e)
{
	if (mount_all(j, e) < 0)
		return -1;
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
