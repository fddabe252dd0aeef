#include "archive/unpack.h"

#include "archive/compress.h"
#include "archive/unpack-private.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_SIZE = 256 * 1024 };

const char *unpack_reason(struct archive *a)
{
	const char *s = archive_error_string(a);
	return s != NULL ? s : "broken archive";
}

static struct archive *new_reader(void)
{
	struct archive *a = archive_read_new();

	if (a == NULL)
		die("out of memory");
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_compress(a);
	archive_read_support_filter_lzma(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_filter_lz4(a);
	return a;
}

/* A part of a file that libarchive reads. */
struct compressed_span {
	int fd;
	off_t at;
	uint64_t left;
	char data[READ_SIZE];
};

static la_ssize_t give_span(struct archive *a, void *data, const void **block)
{
	struct compressed_span *s = data;
	size_t want = s->left < READ_SIZE ? (size_t)s->left : READ_SIZE;
	ssize_t n = io_pread(s->fd, s->data, want, s->at);

	if (n < 0) {
		archive_set_error(a, errno, "%s", strerror(errno));
		return -1;
	}
	s->at += n;
	s->left -= (uint64_t)n;
	*block = s->data;
	return n;
}

/* Returns a reader that uncompresses the span. The caller frees both. */
static struct archive *span_reader(struct compressed_span *s, int fd, off_t offset,
				   uint64_t size)
{
	struct archive *a = new_reader();

	s->fd = fd;
	s->at = offset;
	s->left = size;
	archive_read_support_format_raw(a);
	archive_read_support_format_empty(a);
	archive_read_set_callback_data(a, s);
	archive_read_set_read_callback(a, give_span);
	return a;
}

static enum compress_format format_of(int fd, off_t offset, uint64_t size)
{
	char magic[COMPRESS_MAGIC];
	size_t want = size < sizeof magic ? (size_t)size : sizeof magic;
	ssize_t n = io_pread(fd, magic, want, offset);

	return n > 0 ? compress_detect(magic, (size_t)n) : COMPRESS_NONE;
}

/* libarchive also detects formats whose magic number compress_detect() does not know. */
bool unpack_is_compressed(int fd, off_t offset, uint64_t size)
{
	if (size == 0 || format_of(fd, offset, size) != COMPRESS_NONE)
		return size > 0;
	struct compressed_span *s = mem_zero(1, sizeof *s);
	struct archive *a = span_reader(s, fd, offset, size);
	bool result = archive_read_open1(a) == ARCHIVE_OK && archive_filter_count(a) > 1;

	archive_read_free(a);
	free(s);
	return result;
}

static int give_pieces(struct archive *a,
		       int (*write)(void *arg, const void *data, size_t len,
				    struct err *e),
		       void *arg, const char *what, struct err *e)
{
	struct archive_entry *entry;
	const void *data;
	size_t len;
	la_int64_t offset;
	int result = archive_read_next_header(a, &entry);

	while (result == ARCHIVE_OK) {
		result = archive_read_data_block(a, &data, &len, &offset);
		if (result == ARCHIVE_OK && write(arg, data, len, e) < 0)
			return -1;
	}
	return result == ARCHIVE_EOF ? 0 : err_set(e, "%s: %s", what, unpack_reason(a));
}

int unpack_inflate(int fd, off_t offset, uint64_t size,
		   int (*write)(void *arg, const void *data, size_t len, struct err *e),
		   void *arg, const char *what, struct err *e)
{
	enum compress_format format = format_of(fd, offset, size);

	/* libarchive supports these formats, too, but is slower. */
	if (format == COMPRESS_GZIP || format == COMPRESS_ZSTD)
		return compress_inflate(fd, offset, size, write, arg, what, e);
	struct compressed_span *s = mem_zero(1, sizeof *s);
	struct archive *a = span_reader(s, fd, offset, size);
	int result = archive_read_open1(a) == ARCHIVE_OK
			 ? give_pieces(a, write, arg, what, e)
			 : err_set(e, "%s: %s", what, unpack_reason(a));

	archive_read_free(a);
	free(s);
	return result;
}

/* The receiver of uncompressed data. */
struct target {
	int fd;
	const char *what;
};

static int write_piece(void *arg, const void *data, size_t len, struct err *e)
{
	const struct target *t = arg;

	if (unpack_charge(len, t->what, e) < 0)
		return -1;
	return io_write(t->fd, data, len) == 0
		   ? 0
		   : err_set_errno(e, "writing a temporary file");
}

int unpack_append(int fd, off_t offset, uint64_t size, int out, const char *what,
		  struct err *e)
{
	struct target t = {.fd = out, .what = what};

	return unpack_inflate(fd, offset, size, write_piece, &t, what, e);
}

int unpack_span(int fd, off_t offset, uint64_t size, const char *what, struct err *e)
{
	if (!unpack_is_compressed(fd, offset, size))
		return UNPACK_PLAIN;
	int out = io_tmpfile();
	if (out < 0)
		return err_set_errno(e, "cannot create a temporary file");
	if (unpack_append(fd, offset, size, out, what, e) < 0) {
		close(out);
		return -1;
	}
	return out;
}

/* Replaces a pipe, a device or a socket by a temporary file with its contents. */
static int make_regular(int *fd, struct stat *st, const char *file, struct err *e)
{
	if (fstat(*fd, st) < 0)
		return err_set_errno(e, "%s", file);
	if (S_ISREG(st->st_mode))
		return 0;
	int copy = io_tmpfile();
	if (copy < 0 || io_copy(*fd, NULL, copy, INT64_MAX) < 0) {
		err_set_errno(e, "%s: copying it to a temporary file", file);
		if (copy >= 0)
			close(copy);
		return -1;
	}
	close(*fd);
	*fd = copy;
	return fstat(copy, st) == 0 ? 0 : err_set_errno(e, "%s", file);
}

int unpack_open(const char *name, const char *what, struct err *e)
{
	const char *file = io_name(name);
	int fd =
	    strcmp(name, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return err_set_errno(e, "%s", file);
	int plain = make_regular(&fd, &st, file, e);
	if (plain == 0 && st.st_size == 0)
		plain = err_set(e, "%s: empty, not %s", file, what);
	if (plain == 0)
		plain = unpack_span(fd, 0, (uint64_t)st.st_size, file, e);
	if (plain == UNPACK_PLAIN)
		return fd;
	close(fd);
	return plain;
}
