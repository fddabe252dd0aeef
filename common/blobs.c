#include "blobs.h"

#include "buf.h"
#include "cache.h"
#include "err.h"
#include "io.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* The part's file, opened and locked, or -1. */
static int open_locked(const char *name)
{
	for (;;) {
		struct stat ours, named;
		int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			return -1;
		while (flock(fd, LOCK_EX) < 0)
			if (errno != EINTR) {
				close(fd);
				return -1;
			}
		/* Who had the lock may have renamed the file. */
		if (fstat(fd, &ours) == 0 && stat(name, &named) == 0 &&
		    ours.st_ino == named.st_ino && ours.st_dev == named.st_dev)
			return fd;
		close(fd);
	}
}

int blobs_begin(const struct cache *c, const char *hex, struct blobs_part *p,
		struct err *e)
{
	struct stat st;

	*p = (struct blobs_part){.fd = -1};
	if (c->dir != NULL) {
		p->name = file_name(c, hex, ".part");
		cache_make_folders(p->name);
		p->fd = open_locked(p->name);
		int whole = p->fd >= 0 ? blobs_open(c, hex) : -1;
		if (whole >= 0) {
			unlink(p->name);
			close(p->fd);
			free(p->name);
			*p = (struct blobs_part){.fd = whole};
			return 0;
		}
	}
	if (p->fd < 0) { /* a cache that cannot be written to is no error */
		free(p->name);
		p->name = NULL;
		p->fd = io_tmpfile();
	}
	if (p->fd < 0 || fstat(p->fd, &st) < 0)
		return err_set_errno(e, "a temporary file");
	p->have = (uint64_t)st.st_size;
	return 1;
}

int blobs_restart(struct blobs_part *p, struct err *e)
{
	p->have = 0;
	if (ftruncate(p->fd, 0) < 0 || lseek(p->fd, 0, SEEK_SET) < 0)
		return err_set_errno(e, "a blob's file");
	return 0;
}

int blobs_finish(struct blobs_part *p, struct err *e)
{
	int fd = p->fd;

	if (p->name != NULL) {
		char *whole = mem_strndup(p->name, strlen(p->name) - strlen(".part"));
		int result = rename(p->name, whole);
		if (result < 0)
			err_set_errno(e, "%s", whole);
		free(whole);
		if (result < 0)
			return -1;
		(void)flock(fd, LOCK_UN);
	}
	free(p->name);
	*p = (struct blobs_part){.fd = -1};
	return fd;
}

void blobs_leave(struct blobs_part *p)
{
	struct stat st;

	/* The lock is still ours. */
	if (p->name != NULL && fstat(p->fd, &st) == 0 && st.st_size == 0)
		unlink(p->name);
	if (p->fd >= 0)
		close(p->fd);
	free(p->name);
	*p = (struct blobs_part){.fd = -1};
}

void blobs_forget(const struct cache *c, const char *hex)
{
	if (c->dir == NULL)
		return;
	char *name = file_name(c, hex, "");
	unlink(name);
	free(name);
}
