#include "base/scratch.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TRIES = 100, RANDOM = 6 /* characters that mkdtemp(3) chooses */ };

static const char mark[] = ".dt-scratch.";

/* --- removing --- */

/* Opens a directory, but neither a symlink nor a mount point. */
static int open_inside(int at, const char *name)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
			       .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS};

	return (int)syscall(SYS_openat2, at, name, &how, sizeof how);
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/*
 * Moves the subdirectories of the directory `name` to `top`, and removes its other
 * entries.
 */
static void empty(int top, const char *name, size_t *moved)
{
	int fd = open_inside(top, name);
	DIR *dir = io_opendir(fd);
	struct dirent *d;
	char as[32];

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		if (is_dot(d->d_name) || unlinkat(fd, d->d_name, 0) == 0)
			continue;
		snprintf(as, sizeof as, "%zu", (*moved)++);
		renameat(fd, d->d_name, top, as);
	}
	if (dir != NULL)
		closedir(dir);
}

/*
 * Removes the contents of the directory. Each directory in it is moved to its top before
 * it is removed, so that any depth needs only two descriptors.
 */
static void empty_all(int top, size_t *moved)
{
	DIR *dir = io_opendir(fcntl(top, F_DUPFD_CLOEXEC, 0));
	struct dirent *d;
	size_t removed = 1;

	while (dir != NULL && removed > 0) {
		removed = 0;
		rewinddir(dir);
		while ((d = readdir(dir)) != NULL) {
			if (is_dot(d->d_name))
				continue;
			if (unlinkat(top, d->d_name, 0) == 0) {
				removed++;
				continue;
			}
			empty(top, d->d_name, moved);
			removed += unlinkat(top, d->d_name, AT_REMOVEDIR) == 0;
		}
	}
	if (dir != NULL)
		closedir(dir);
}

/* Whether this is a name that scratch_make() gives for the file name `base`. */
static bool is_scratch(const char *name, const char *base)
{
	size_t len = strlen(base);

	return strncmp(name, base, len) == 0 &&
	       strncmp(name + len, mark, sizeof mark - 1) == 0 &&
	       strlen(name + len) == sizeof mark - 1 + RANDOM;
}

/* Removes the directory if it is this user's and nobody has locked it. */
static void sweep_one(int parent, const char *name)
{
	int fd = open_inside(parent, name);
	struct stat st;
	size_t moved = 0;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	    flock(fd, LOCK_EX | LOCK_NB) == 0) {
		empty_all(fd, &moved);
		unlinkat(parent, name, AT_REMOVEDIR);
	}
	if (fd >= 0)
		close(fd);
}

static void sweep(const char *name)
{
	const char *slash = strrchr(name, '/');
	const struct dirent *d;
	struct buf path = {0};

	buf_addf(&path, "%.*s.", slash != NULL ? (int)(slash - name + 1) : 0, name);
	DIR *dir = opendir(path.data);
	while (dir != NULL && (d = readdir(dir)) != NULL)
		if (is_scratch(d->d_name, slash != NULL ? slash + 1 : name))
			sweep_one(dirfd(dir), d->d_name);
	if (dir != NULL)
		closedir(dir);
	buf_release(&path);
}

/* --- making --- */

/*
 * Locks the new directory. Returns false if another process has removed it by sweep()
 * before. If the file system has no locks, sweep() removes nothing.
 */
static bool lock(int fd, const char *path)
{
	struct stat ours, named;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return false;
	return fstat(fd, &ours) == 0 && lstat(path, &named) == 0 &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

int scratch_make(struct scratch *s, const char *name, struct err *e)
{
	struct buf path = {0};

	*s = (struct scratch){.fd = -1};
	sweep(name);
	for (int try = 0; try < TRIES; try++) {
		buf_clear(&path);
		buf_addf(&path, "%s%sXXXXXX", name, mark);
		if (mkdtemp(path.data) == NULL)
			break;
		s->fd = open(path.data, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (s->fd >= 0 && lock(s->fd, path.data)) {
			s->path = path.data;
			return 0;
		}
		if (s->fd >= 0) {
			rmdir(path.data); /* if lstat(2) failed, it is there */
			close(s->fd);
			s->fd = -1;
		} else if (errno != ENOENT) {
			int why = errno;
			rmdir(path.data);
			errno = why;
			break;
		}
	}
	err_set_errno(e, "%s", name);
	buf_release(&path);
	return -1;
}

static void forget(struct scratch *s)
{
	close(s->fd);
	free(s->path);
	*s = (struct scratch){.fd = -1};
}

int scratch_keep(struct scratch *s, const char *name)
{
	if (rename(s->path, name) < 0)
		return -1;
	forget(s);
	return 0;
}

int scratch_remove(struct scratch *s)
{
	size_t moved = 0;
	int result = -1;

	if (s->path == NULL)
		return 0;
	/* After a temporary error, another try leaves nothing. */
	for (int try = 0; try < 3 && result < 0; try++) {
		empty_all(s->fd, &moved);
		result = rmdir(s->path);
	}
	int why = errno;
	forget(s);
	errno = why;
	return result;
}
