#include "base/io.h"

#include "base/buf.h"
#include "base/mem.h"

#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

enum { SIZE = 3000000 }; /* beyond all buffers, and no multiple of any */

/* What a descriptor under test is. */
enum kind { FILE_, APPEND, PIPE, SOCKET };

static const char *const kinds[] = {"a file", "a file to append to", "a pipe",
				    "a socket"};
static char content[SIZE];

/* A descriptor and, where a thread is at its other end, that end. */
struct end {
	enum kind kind;
	int fd, far;
	pthread_t thread;
	struct buf got;
};

static void *feed(void *arg)
{
	struct end *end = arg;

	if (io_write(end->far, content, SIZE) < 0)
		abort();
	close(end->far);
	return NULL;
}

static void *drain(void *arg)
{
	struct end *end = arg;

	if (io_slurp(end->far, &end->got, SIZE * 2) < 0)
		abort();
	close(end->far);
	return NULL;
}

/* Opens a pipe or socket and returns true, or returns false if `kind` is a file. */
static bool open_pair(enum kind kind, int pair[2])
{
	if (kind == PIPE)
		return pipe(pair) == 0;
	return kind == SOCKET && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;
}

static void open_source(struct end *end, enum kind kind)
{
	int pair[2];

	*end = (struct end){.kind = kind};
	if (open_pair(kind, pair)) {
		end->fd = pair[0];
		end->far = pair[1];
		pthread_create(&end->thread, NULL, feed, end);
		return;
	}
	end->fd = io_tmpfile();
	if (io_write(end->fd, content, SIZE) < 0 || lseek(end->fd, 0, SEEK_SET) < 0)
		abort();
}

static void close_source(struct end *end)
{
	char rest[65536];

	while (read(end->fd, rest, sizeof rest) > 0)
		;
	close(end->fd);
	if (end->kind >= PIPE)
		pthread_join(end->thread, NULL);
}

/* Opens what is written to; the files hold one byte already. */
static void open_sink(struct end *end, enum kind kind)
{
	int pair[2];

	*end = (struct end){.kind = kind};
	if (open_pair(kind, pair)) {
		end->far = pair[0];
		end->fd = pair[1];
		pthread_create(&end->thread, NULL, drain, end);
	} else {
		end->fd = io_tmpfile();
		if (kind == APPEND)
			fcntl(end->fd, F_SETFL, O_APPEND);
	}
	if (io_write(end->fd, "<", 1) < 0)
		abort();
}

/* Closes it and checks that `len` bytes of the content, from `start` on, arrived. */
static void close_sink(struct end *end, size_t start, size_t len, const char *what)
{
	if (io_write(end->fd, ">", 1) < 0)
		abort();
	if (end->kind >= PIPE) {
		close(end->fd);
		pthread_join(end->thread, NULL);
	} else {
		if (lseek(end->fd, 0, SEEK_SET) < 0 ||
		    io_slurp(end->fd, &end->got, SIZE * 2) < 0)
			abort();
		close(end->fd);
	}
	tap_ok(end->got.len == len + 2 && end->got.data[0] == '<' &&
		   memcmp(end->got.data + 1, content + start, len) == 0 &&
		   end->got.data[len + 1] == '>',
	       what);
	buf_release(&end->got);
}

static void test_copy(enum kind from, enum kind to)
{
	struct end source, sink;
	char what[128];

	snprintf(what, sizeof what, "%s to %s", kinds[from], kinds[to]);
	open_source(&source, from);
	open_sink(&sink, to);
	tap_int(io_copy(source.fd, NULL, sink.fd, 0), 0, what);
	tap_int(io_copy(source.fd, NULL, sink.fd, 1000), 1000, "a part");
	tap_int(io_copy(source.fd, NULL, sink.fd, 2000000), 2000000, "a larger part");
	tap_int(io_copy(source.fd, NULL, sink.fd, UINT64_MAX / 2), SIZE - 2001000,
		"the rest");
	tap_int(io_copy(source.fd, NULL, sink.fd, 1), 0, "nothing more");
	close_sink(&sink, 0, SIZE, "what arrives");
	close_source(&source);

	off_t off = SIZE - 70000;
	snprintf(what, sizeof what, "%s to %s, by offset", kinds[from], kinds[to]);
	open_source(&source, from);
	open_sink(&sink, to);
	int64_t n = io_copy(source.fd, &off, sink.fd, 65537);
	if (from >= PIPE) {
		tap_ok(n < 0 && errno == ESPIPE, what);
		close_sink(&sink, 0, 0, "nothing arrives");
	} else {
		tap_int(n, 65537, what);
		tap_int(off, SIZE - 70000 + 65537, "the offset moves");
		tap_int(io_copy(source.fd, &off, sink.fd, 10000), 70000 - 65537,
			"the rest");
		tap_int(lseek(source.fd, 0, SEEK_CUR), 0,
			"the file's own position stays");
		close_sink(&sink, SIZE - 70000, 70000, "what arrives");
	}
	close_source(&source);
}

/* The bytes that io_copy_seen() passed to see(). */
struct shown {
	size_t len;
	bool is_same;
};

static void see(void *arg, const void *data, size_t len)
{
	struct shown *s = arg;

	s->is_same = s->is_same && s->len + len <= SIZE &&
		     memcmp(content + s->len, data, len) == 0;
	s->len += len;
}

/* All bytes are seen if that is demanded, else all or nothing. */
static void test_seen(enum kind from, enum kind to, bool all)
{
	struct end source, sink;
	struct shown shown = {.is_same = true};
	const struct io_watch watch = {see, &shown, all};
	char what[128];

	snprintf(what, sizeof what, "%s to %s, seen", kinds[from], kinds[to]);
	open_source(&source, from);
	open_sink(&sink, to);
	tap_int(io_copy_seen(source.fd, NULL, sink.fd, SIZE, &watch), SIZE, what);
	close_sink(&sink, 0, SIZE, "what arrives");
	tap_ok(shown.is_same && (shown.len == SIZE || (!all && shown.len == 0)),
	       all ? "all is seen" : "all or nothing is seen");
	close_source(&source);
}

/* Files whose size says nothing. */
static void test_proc(enum kind to)
{
	struct end sink;
	struct buf want = {0};
	char what[128];

	snprintf(what, sizeof what, "a file of /proc to %s", kinds[to]);
	if (io_slurp_file("/proc/self/mountinfo", &want, SIZE) < 0 || want.len == 0)
		abort();
	memcpy(content, want.data, want.len);
	int fd = open("/proc/self/mountinfo", O_RDONLY);
	open_sink(&sink, to);
	tap_int(io_copy(fd, NULL, sink.fd, SIZE), (long long)want.len, what);
	close_sink(&sink, 0, want.len, "what arrives");
	close(fd);

	off_t off = 5;
	fd = open("/proc/self/mountinfo", O_RDONLY);
	open_sink(&sink, to);
	tap_int(io_copy(fd, &off, sink.fd, 10), 10, "by offset");
	close_sink(&sink, 5, 10, "what arrives");
	close(fd);
	buf_release(&want);
}

static void test_devices(void)
{
	struct end sink;

	memset(content, 0, 100000);
	int zero = open("/dev/zero", O_RDONLY), full = open("/dev/full", O_WRONLY);
	for (enum kind to = FILE_; to <= SOCKET; to++) {
		open_sink(&sink, to);
		tap_int(io_copy(zero, NULL, sink.fd, 100000), 100000, "/dev/zero");
		close_sink(&sink, 0, 100000, kinds[to]);
	}
	for (enum kind from = FILE_; from <= SOCKET; from++) {
		struct end source;
		if (from == APPEND)
			continue;
		open_source(&source, from);
		errno = 0;
		tap_ok(io_copy(source.fd, NULL, full, SIZE) < 0 && errno == ENOSPC,
		       "no room on /dev/full");
		close_source(&source);
	}
	errno = 0;
	tap_ok(io_copy(-1, NULL, full, 1) < 0 && errno == EBADF, "no source");
	close(zero);
	close(full);
}

static void test_slurp(void)
{
	struct buf b = {0};
	struct end source;

	for (enum kind from = FILE_; from <= SOCKET; from++) {
		open_source(&source, from);
		buf_addstr(&b, "<");
		tap_ok(io_slurp(source.fd, &b, SIZE) == 0 && b.len == SIZE + 1 &&
			   memcmp(b.data + 1, content, SIZE) == 0 &&
			   b.data[b.len] == '\0',
		       "all of it, behind what was there");
		close_source(&source);
		buf_clear(&b);
		open_source(&source, from);
		errno = 0;
		tap_ok(io_slurp(source.fd, &b, SIZE - 1) < 0 && errno == EFBIG,
		       "a byte beyond the limit");
		close_source(&source);
		buf_clear(&b);
	}
	tap_ok(io_slurp_file("/dev/null", &b, 0) == 0 && b.len == 0 && *b.data == '\0',
	       "nothing");
	tap_ok(io_slurp_file("/nowhere", &b, 9) < 0 && errno == ENOENT, "no file");
	tap_ok(io_slurp_file("/", &b, 9) < 0 && errno == EISDIR, "a directory");
	buf_release(&b);
}

static void test_tmpfile(void)
{
	setenv("TMPDIR", "/nowhere", 1);
	tap_ok(io_tmpfile() < 0 && errno == ENOENT, "no directory for temporary files");
	setenv("TMPDIR", "", 1);
	int fd = io_tmpfile();
	tap_ok(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "a temporary file");
	close(fd);
}

static void test_pwrite(void)
{
	char back[6];
	int fd = io_tmpfile();

	tap_ok(io_pwrite(fd, "def", 3, 3) == 0 && io_pwrite(fd, "abc", 3, 0) == 0,
	       "writes at offsets");
	tap_ok(lseek(fd, 0, SEEK_CUR) == 0, "which leave the file's own offset");
	tap_ok(io_pread(fd, back, sizeof back, 0) == 6 && memcmp(back, "abcdef", 6) == 0,
	       "are read again");
	close(fd);
}

static void test_opendir(void)
{
	int fd = io_tmpfile();

	errno = ENOENT;
	tap_ok(io_opendir(-1) == NULL && errno == ENOENT, "no descriptor of a directory");
	tap_ok(io_opendir(fd) == NULL && errno == ENOTDIR, "a file is no directory");
	tap_ok(fcntl(fd, F_GETFD) < 0, "and is closed");
}

int main(void)
{
	for (uint32_t i = 0, x = 1; i < SIZE; i++) {
		x = x * 1664525 + 1013904223;
		content[i] = (char)(x >> 24);
	}
	for (enum kind from = FILE_; from <= SOCKET; from++)
		for (enum kind to = FILE_; from != APPEND && to <= SOCKET; to++) {
			test_copy(from, to);
			test_seen(from, to, false);
			test_seen(from, to, true);
		}
	test_slurp();
	test_devices();
	for (enum kind to = FILE_; to <= SOCKET; to++)
		test_proc(to);
	test_tmpfile();
	test_pwrite();
	test_opendir();
	return tap_done();
}
