#include "registry/blobs.h"

#include "base/buf.h"
#include "base/cache.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	PAUSE_MS = 50, /* between two attempts to lock a part */
	SHARE = 8,     /* a writer must make 1 / SHARE of progress in `patience` */
};

static char *file_name(const struct cache *c, const char *hex, const char *suffix)
{
	struct buf name = {0};

	buf_addf(&name, "%s/blobs/%s%s", c->dir, hex, suffix);
	return name.data;
}

int blobs_open(const struct cache *c, const char *hex)
{
	if (c->dir == NULL)
		return -1;
	char *name = file_name(c, hex, "");
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	free(name);
	return fd;
}

/* --- parts --- */

/* Whether both refer to the same file. */
static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

static uint64_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* Locks the file. Gives up if another process holds the lock without making progress. */
static int lock(int fd, uint64_t limit, unsigned patience)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
	uint64_t before = size_of(fd);
	double since = clock_now();

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -1;
		nanosleep(&pause, NULL);
		if (clock_now() - since < patience)
			continue;
		uint64_t size = size_of(fd);
		if (size > limit || size < before + limit / SHARE + 1)
			return -1;
		before = size;
		since = clock_now();
	}
	return 0;
}

/* Opens and locks the part's file. Returns -1 if that fails. */
static int open_locked(const char *name, uint64_t limit, unsigned patience)
{
	for (;;) {
		struct stat ours, named;
		int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			return -1;
		if (lock(fd, limit, patience) < 0) {
			close(fd);
			return -1;
		}
		/* The process that held the lock may have renamed the file. */
		if (fstat(fd, &ours) == 0 && stat(name, &named) == 0 &&
		    is_same_file(&ours, &named))
			return fd;
		close(fd);
	}
}

/* Closes the part without removing its file. */
static void release(struct blobs_part *p)
{
	if (p->fd >= 0)
		close(p->fd);
	free(p->name);
	free(p->whole);
	*p = (struct blobs_part){.fd = -1};
}

/* Opens a part in the cache: the shared one, or else an unnamed file. */
static void open_cached(const struct cache *c, const char *hex, uint64_t limit,
			unsigned patience, struct blobs_part *p)
{
	p->name = file_name(c, hex, ".part");
	p->whole = file_name(c, hex, "");
	cache_make_directories(p->name);
	p->fd = open_locked(p->name, limit, patience);
	if (p->fd >= 0)
		return;
	char *dir = mem_strndup(p->name, (size_t)(strrchr(p->name, '/') - p->name));
	free(p->name);
	p->name = NULL;
	p->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	free(dir);
}

int blobs_begin(const struct cache *c, const char *hex, uint64_t limit, unsigned patience,
		struct blobs_part *p, struct err *e)
{
	*p = (struct blobs_part){.fd = -1};
	if (c->dir != NULL) {
		open_cached(c, hex, limit, patience, p);
		int whole = blobs_open(c, hex);
		if (whole >= 0) {
			if (p->name != NULL)
				unlink(p->name);
			release(p);
			p->fd = whole;
			return 0;
		}
	}
	if (p->fd < 0) {
		release(p);
		p->fd = io_tmpfile();
	}
	if (p->fd < 0)
		return err_set_errno(e, "cannot create a temporary file");
	p->have = size_of(p->fd);
	return 1;
}

/*
 * Continues in a temporary file, because the cache is full. Returns 0, or -1 with errno
 * set.
 */
static int move_out(struct blobs_part *p)
{
	off_t from = 0;
	struct blobs_part out = {.fd = io_tmpfile(), .have = p->have};

	if (out.fd < 0 || io_copy(p->fd, &from, out.fd, p->have) != (int64_t)p->have) {
		int why = errno;
		release(&out);
		errno = why;
		return -1;
	}
	if (p->name != NULL)
		unlink(p->name);
	release(p);
	*p = out;
	return 0;
}

int blobs_write(struct blobs_part *p, const void *data, size_t len, struct err *e)
{
	int result = io_write(p->fd, data, len);

	if (result < 0 && p->whole != NULL) {
		result = move_out(p);
		if (result == 0)
			result = io_write(p->fd, data, len);
	}
	if (result < 0)
		return err_set_errno(e, "cannot write a temporary file in TMPDIR");
	p->have += len;
	return 0;
}

int blobs_restart(struct blobs_part *p, struct err *e)
{
	p->have = 0;
	if (ftruncate(p->fd, 0) < 0 || lseek(p->fd, 0, SEEK_SET) < 0)
		return err_set_errno(e, "cannot access the file of a blob");
	return 0;
}

/* Gives an unnamed file a name. */
static int link_nameless(int fd, const char *name)
{
	char self[32];

	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

int blobs_finish(struct blobs_part *p)
{
	int fd = p->fd;

	if (p->name != NULL && rename(p->name, p->whole) < 0)
		unlink(p->name);
	else if (p->name == NULL && p->whole != NULL)
		(void)link_nameless(fd, p->whole); /* another process may have finished */
	(void)flock(fd, LOCK_UN);
	p->fd = -1;
	release(p);
	return fd;
}

void blobs_leave(struct blobs_part *p)
{
	/* The part is still locked. */
	if (p->name != NULL && size_of(p->fd) == 0)
		unlink(p->name);
	release(p);
}

void blobs_forget(const struct cache *c, const char *hex)
{
	if (c->dir == NULL)
		return;
	char *name = file_name(c, hex, "");
	unlink(name);
	free(name);
}
