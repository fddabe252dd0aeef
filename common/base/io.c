#include "base/io.h"

#include "base/broker.h"
#include "base/buf.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 20, PIPE_SIZE = 1 << 20 };

/*
 * Does nothing. With a handler, SIGXFSZ does not kill the process, and write(2) fails
 * instead.
 */
static void on_limit(int number)
{
	(void)number;
}

void io_init(void)
{
	/*
	 * At the limit RLIMIT_FSIZE, write(2) fails with EFBIG, which the caller reports
	 * or ignores. SIG_IGN would be inherited by the programs that a tool starts; a
	 * handler is not.
	 */
	struct sigaction action = {.sa_handler = on_limit, .sa_flags = SA_RESTART};

	sigaction(SIGXFSZ, &action, NULL);
	if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
		die_errno("standard output");
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			die_errno("/dev/null");
}

/* Reads at offset `at`, or at the file's own offset if `at` is -1. */
static ssize_t read_all(int fd, void *data, size_t len, off_t at)
{
	size_t done = 0;

	while (done < len) {
		char *to = (char *)data + done;
		ssize_t n = at < 0 ? read(fd, to, len - done)
				   : pread(fd, to, len - done, at + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t io_read(int fd, void *data, size_t len)
{
	return read_all(fd, data, len, -1);
}

ssize_t io_pread(int fd, void *data, size_t len, off_t at)
{
	return read_all(fd, data, len, at);
}

/* Writes at offset `at`, or at the file's own offset if `at` is -1. */
static int write_all(int fd, const void *data, size_t len, off_t at)
{
	size_t done = 0;

	while (done < len) {
		const char *from = (const char *)data + done;
		ssize_t n = at < 0 ? write(fd, from, len - done)
				   : pwrite(fd, from, len - done, at + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

int io_write(int fd, const void *data, size_t len)
{
	return write_all(fd, data, len, -1);
}

int io_pwrite(int fd, const void *data, size_t len, off_t at)
{
	return write_all(fd, data, len, at);
}

/* Ways to move bytes, the fastest first. */
enum way { COPY_RANGE, SPLICE, SENDFILE, READ_WRITE };

static ssize_t move_some(enum way way, int in, off_t *off, int out, size_t len,
			 const struct io_watch *watch)
{
	static _Thread_local char block[65536];
	ssize_t n;

	switch (way) {
	case COPY_RANGE:
		return copy_file_range(in, off, out, NULL, len, 0);
	case SPLICE:
		return splice(in, off, out, NULL, len, SPLICE_F_MOVE | SPLICE_F_MORE);
	case SENDFILE:
		return sendfile(out, in, off, len);
	case READ_WRITE:
		if (len > sizeof block)
			len = sizeof block;
		n = off != NULL ? pread(in, block, len, *off) : read(in, block, len);
		if (n <= 0)
			return n;
		if (watch != NULL)
			watch->see(watch->arg, block, (size_t)n);
		if (io_write(out, block, (size_t)n) < 0)
			return -1;
		if (off != NULL)
			*off += n;
		return n;
	}
	return -1;
}

/*
 * Returns whether errno means that the kernel cannot move bytes this way between these
 * files.
 */
static bool unsupported(void)
{
	return errno == EINVAL || errno == ENOSYS || errno == EXDEV ||
	       errno == EOPNOTSUPP || errno == EBADF || errno == ESPIPE ||
	       errno == EPERM || errno == ETXTBSY;
}

static enum way best_way(int in, off_t *off, int out)
{
	struct stat from, to;

	if (fstat(in, &from) < 0 || fstat(out, &to) < 0)
		return READ_WRITE;
	if (S_ISFIFO(from.st_mode))
		return off == NULL ? SPLICE : READ_WRITE;
	if (S_ISREG(from.st_mode) && S_ISREG(to.st_mode))
		return COPY_RANGE;
	return SENDFILE;
}

int64_t io_copy(int in, off_t *off, int out, uint64_t len)
{
	return io_copy_seen(in, off, out, len, NULL);
}

int64_t io_copy_seen(int in, off_t *off, int out, uint64_t len,
		     const struct io_watch *watch)
{
	enum way way = watch != NULL && watch->all ? READ_WRITE : best_way(in, off, out);
	uint64_t done = 0;

	while (done < len) {
		size_t want = len - done < CHUNK ? (size_t)(len - done) : CHUNK;
		ssize_t n = move_some(way, in, off, out, want, watch);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && way != READ_WRITE && unsupported()) {
			way = READ_WRITE;
			continue;
		}
		if (n < 0)
			return -1;
		/* /proc and some file systems return 0 before the end of the file. */
		if (n == 0 && way == COPY_RANGE) {
			way = READ_WRITE;
			continue;
		}
		if (n == 0)
			break;
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

int io_slurp(int fd, struct buf *b, size_t limit)
{
	size_t start = b->len;

	for (;;) {
		char *to = buf_reserve(b, 65536);
		ssize_t n = io_read(fd, to, 65536);
		if (n < 0)
			return -1;
		b->len += (size_t)n;
		b->data[b->len] = '\0';
		if (b->len - start > limit) {
			errno = EFBIG;
			return -1;
		}
		if (n < 65536)
			return 0;
	}
}

int io_open_input(const char *file)
{
	if (strcmp(file, "-") == 0)
		return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	return open(file, O_RDONLY | O_CLOEXEC);
}

int io_slurp_file(const char *file, struct buf *b, size_t limit)
{
	int fd = io_open_input(file);
	if (fd < 0)
		return -1;
	int result = io_slurp(fd, b, limit);
	int saved = errno;
	close(fd);
	errno = saved;
	return result;
}

const char *io_name(const char *file)
{
	return strcmp(file, "-") == 0 ? "stdin" : file;
}

int io_slurp_as(const char *file, const char *what, struct buf *b, size_t limit,
		struct err *e)
{
	if (io_slurp_file(file, b, limit) == 0)
		return 0;
	if (errno == EFBIG)
		return err_set(e, "%s: more than %zu bytes", what, limit);
	return err_set_errno(e, "%s", what);
}

DIR *io_opendir(int fd)
{
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir == NULL && fd >= 0) {
		int saved = errno;
		close(fd);
		errno = saved;
	}
	return dir;
}

int io_stat(const char *file, struct stat *st)
{
	if (stat(file, st) == 0)
		return 1;
	*st = (struct stat){0};
	return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
}

const char *io_tmpdir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir != NULL && *dir != '\0' ? dir : "/tmp";
}

int io_tmpfile(void)
{
	if (broker_is_on())
		return broker_tmpfile();
	const char *dir = io_tmpdir();
	char name[4096];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	if (snprintf(name, sizeof name, "%s/dt-XXXXXX", dir) >= (int)sizeof name) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	return fd;
}

void io_pipe_grow(int fd)
{
	int size = fcntl(fd, F_GETPIPE_SZ);
	if (size >= 0 && size < PIPE_SIZE)
		(void)fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}
