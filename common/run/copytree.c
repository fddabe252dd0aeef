#include "run/copytree.h"

#include "base/err.h"
#include "base/io.h"
#include "base/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int copy_all(int from, int to, struct err *e);

static int copy_directory(int from, int to, const char *name, mode_t mode, struct err *e)
{
	bool is_new = mkdirat(to, name, 0700) == 0;
	int result, in, out;

	if (!is_new && errno != EEXIST)
		return err_set_errno(e, "%s", name);
	in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	out = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool has_mode = is_new || (mode != 0755 && mode != 0555);
	if (in < 0 || out < 0 || (has_mode && fchmod(out, mode) < 0))
		result = err_set_errno(e, "%s", name);
	else
		result = copy_all(in, out, e);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return result;
}

static int copy_file(int from, int to, const char *name, const struct stat *st,
		     struct err *e)
{
	int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int out =
	    openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int result = 0;

	if (in < 0 || out < 0 || io_copy(in, NULL, out, (uint64_t)st->st_size) < 0 ||
	    fchmod(out, st->st_mode & 07777) < 0)
		result = err_set_errno(e, "%s", name);
	if (in >= 0)
		close(in);
	if (out >= 0 && close(out) < 0 && result == 0)
		result = err_set_errno(e, "%s", name);
	return result;
}

static int copy_entry(int from, int to, const char *name, struct err *e)
{
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set_errno(e, "%s", name);
	if (S_ISDIR(st.st_mode))
		return copy_directory(from, to, name, st.st_mode & 07777, e);
	if (unlinkat(to, name, 0) < 0 && errno != ENOENT)
		return err_set_errno(e, "%s", name);
	if (S_ISREG(st.st_mode))
		return copy_file(from, to, name, &st, e);
	if (!S_ISLNK(st.st_mode))
		return err_set(e, "%s: neither a file nor a directory nor a symlink",
			       name);
	n = readlinkat(from, name, target, sizeof target - 1);
	target[n > 0 ? n : 0] = '\0';
	if (n < 0 || symlinkat(target, to, name) < 0)
		return err_set_errno(e, "%s", name);
	return 0;
}

/* Copies the contents of the directory `from` into the directory `to`. */
static int copy_all(int from, int to, struct err *e)
{
	int again = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	DIR *dir = io_opendir(again);
	struct dirent *d;

	if (dir == NULL)
		return err_set_errno(e, "the tree");
	while (errno = 0, result == 0 && (d = readdir(dir)) != NULL)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			result = copy_entry(from, to, d->d_name, e);
	if (result == 0 && errno != 0)
		result = err_set_errno(e, "the tree");
	closedir(dir);
	return result;
}

/* Sends the reason to the parent process and exits. */
static _Noreturn void leave_saying(int fd, const struct err *e)
{
	leave(io_write(fd, e->text, strlen(e->text)) == 0 ? 1 : 2);
}

int copytree_tree(const char *tree, const char *root, struct err *e)
{
	int fds[2], status;
	struct err why;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set_errno(e, "cannot create a pipe");
	pid_t pid = fork();
	if (pid == 0) {
		int from = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC), to;
		umask(0);
		if (from < 0 || chroot(root) < 0 ||
		    (to = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
			err_set_errno(&why, "the root directory");
		else if (copy_all(from, to, &why) == 0)
			leave(0);
		leave_saying(fds[1], &why);
	}
	close(fds[1]);
	ssize_t n = io_read(fds[0], why.text, sizeof why.text - 1);
	close(fds[0]);
	why.text[n > 0 ? n : 0] = '\0';
	if (pid < 0 || (status = spawn_wait(pid)) < 0)
		return err_set_errno(e, "fork");
	if (status != 0)
		return err_set(e, "copying the tree over the image: %s",
			       n > 0 ? why.text : "its process gave no reason");
	return 0;
}
