#include "archive/unpack.h"

#include "archive/unpack-private.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADERS_MAX = 4 << 20 /* limit for one member */ };

/* Options of libarchive. */
static const char concatenated[] = "tar:read_concatenated_archives,hdrcharset=BINARY";

/* Fills the window from span->at. Returns the number of bytes, or -1. */
static ssize_t move_window(const struct unpack_stream *s)
{
	struct unpack_span *span = s->span;
	off_t left = span->end - span->at;
	size_t want = left < UNPACK_WINDOW ? (size_t)left : UNPACK_WINDOW;
	ssize_t n = io_pread(s->fd, span->data, want, span->at);

	span->window = span->at;
	span->held = n > 0 ? (size_t)n : 0;
	return n;
}

/* Reads `len` bytes, or fewer at the end. */
static ssize_t read_bytes(const struct unpack_stream *s, char *to, size_t len)
{
	struct unpack_span *span = s->span;
	size_t done = 0;

	if (span == NULL)
		return io_read(s->fd, to, len);
	while (done < len && span->at < span->end) {
		off_t into = span->at - span->window;
		if (into < 0 || (size_t)into >= span->held) {
			ssize_t n = move_window(s);
			if (n <= 0)
				return n < 0 ? -1 : (ssize_t)done;
			into = 0;
		}
		size_t n = span->held - (size_t)into;
		if (n > len - done)
			n = len - done;
		memcpy(to + done, span->data + into, n);
		done += n;
		span->at += (off_t)n;
	}
	return (ssize_t)done;
}

/* Does the same and calls tee(). */
static ssize_t take(struct unpack_stream *s, void *data, size_t len)
{
	ssize_t n = read_bytes(s, data, len);

	if (n < 0)
		s->error = errno;
	if (n > 0 && s->tee != NULL && !s->tee_failed)
		s->tee_failed = s->tee(s->tee_arg, data, (size_t)n, &s->why) < 0;
	return s->tee_failed ? -1 : n;
}

static la_ssize_t give_block(struct archive *a, void *data, const void **block)
{
	struct unpack_stream *s = data;
	ssize_t n = take(s, s->block, TAR_BLOCK);

	if (n < 0) {
		archive_set_error(a, s->error, "%s", strerror(s->error));
		return -1;
	}
	*block = s->block;
	if (s->is_expanding)
		return n;
	if (s->headers.len >= HEADERS_MAX) {
		/* Only the zeros after an end-of-archive marker may have any length. */
		if (!unpack_is_zero(s->headers.data, s->headers.len)) {
			archive_set_error(a, EFBIG, "headers too large");
			return -1;
		}
		s->headers.len = 2 * TAR_BLOCK;
	}
	buf_add(&s->headers, s->block, (size_t)n);
	return n;
}

/* Skips `len` bytes. Returns how many were available. */
static uint64_t discard(struct unpack_stream *s, uint64_t len)
{
	static char scratch[65536];
	uint64_t done = 0;

	if (s->span != NULL) {
		uint64_t left = (uint64_t)(s->span->end - s->span->at);
		done = len < left ? len : left;
		s->span->at += (off_t)done;
		return done;
	}
	while (done < len) {
		size_t want =
		    len - done < sizeof scratch ? (size_t)(len - done) : sizeof scratch;
		ssize_t n = take(s, scratch, want);
		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	return done;
}

/*
 * Returns how many bytes were skipped. If it is less than requested, libarchive takes it
 * as the end.
 */
static la_int64_t skip(struct archive *a, void *data, la_int64_t request)
{
	struct unpack_stream *s = data;
	uint64_t want = (uint64_t)request, taken = want < s->taken ? want : s->taken;

	(void)a;
	s->taken -= taken;
	return (la_int64_t)(taken + discard(s, want - taken));
}

static struct unpack_stream *new_stream(int fd, const char *what, const char *options)
{
	struct unpack_stream *s = mem_zero(1, sizeof *s);

	s->fd = fd;
	s->what = what;
	s->archive = archive_read_new();
	if (s->archive == NULL)
		die("out of memory");
	archive_read_support_format_tar(s->archive);
	archive_read_set_options(s->archive, options);
	archive_read_set_callback_data(s->archive, s);
	archive_read_set_read_callback(s->archive, give_block);
	archive_read_set_skip_callback(s->archive, skip);
	return s;
}

struct unpack_stream *unpack_stream_new(int fd, const char *what)
{
	struct unpack_stream *s = new_stream(fd, what, concatenated);

	s->needs_end = true;
	return s;
}

static void set_span(struct unpack_stream *s, off_t offset, uint64_t size)
{
	s->span = mem_zero(1, sizeof *s->span);
	s->span->at = s->span->window = offset;
	s->span->end = offset + (off_t)size;
}

struct unpack_stream *unpack_layer_new(int fd, off_t offset, uint64_t size,
				       const char *what)
{
	struct unpack_stream *s = new_stream(fd, what, "hdrcharset=BINARY");

	set_span(s, offset, size);
	return s;
}

struct unpack_stream *unpack_archive_new(int fd, uint64_t size, const char *what)
{
	struct unpack_stream *s = unpack_stream_new(fd, what);

	set_span(s, 0, size);
	return s;
}

void unpack_layer_demand_end(struct unpack_stream *s)
{
	s->needs_end = true;
}

void unpack_stream_release(struct unpack_stream *s)
{
	if (s == NULL)
		return;
	archive_read_free(s->archive);
	buf_release(&s->headers);
	free(s->span);
	free(s);
}

void unpack_stream_tee(struct unpack_stream *s,
		       int (*tee)(void *arg, const void *data, size_t len, struct err *e),
		       void *arg)
{
	s->tee = tee;
	s->tee_arg = arg;
}

/* Returns whether an end-of-archive marker follows the last contents. */
static bool ended_with_mark(const struct unpack_stream *s)
{
	return s->headers.len >= 2 * TAR_BLOCK &&
	       unpack_is_zero(s->headers.data, s->headers.len);
}

bool unpack_failed(const struct unpack_stream *s, struct err *e)
{
	if (s->tee_failed)
		*e = s->why;
	else if (s->error != 0)
		err_set(e, "%s: %s", s->what, strerror(s->error));
	return s->tee_failed || s->error != 0;
}

/* Reads the first header. */
static int open_stream(struct unpack_stream *s, struct err *e)
{
	int opened = archive_read_open1(s->archive);

	if (unpack_failed(s, e))
		return -1;
	if (s->headers.len == 0)
		return err_set(e, "%s: empty, an archive is expected", s->what);
	if (opened != ARCHIVE_OK)
		return err_set(e, "%s: not an archive: %s", s->what,
			       unpack_reason(s->archive));
	return 0;
}

/*
 * Checks the end of the archive. A layer needs neither a marker nor members. A single
 * block of zeros is not a marker, although libarchive accepts it.
 */
static int check_end(const struct unpack_stream *s, bool is_empty, struct err *e)
{
	if (s->span != NULL && s->headers.len >= 2 * TAR_BLOCK &&
	    !unpack_is_zero(s->headers.data, 2 * TAR_BLOCK))
		return err_set(e, "%s: incomplete end-of-archive mark", s->what);
	if (!s->needs_end)
		return 0;
	if (is_empty)
		return err_set(e, "%s: an archive without members", s->what);
	if (!ended_with_mark(s))
		return err_set(e, "%s: truncated, it has no end-of-archive mark",
			       s->what);
	return 0;
}

/*
 * Reports a broken archive. Records are checked first, because libarchive gives no reason
 * for some malformed records.
 */
static int broken(struct unpack_stream *s, struct unpack_member *m, struct err *e)
{
	m->name = NULL;
	if (unpack_find_records(s, m, e) < 0)
		return -1;
	return err_set(e, "%s: broken archive: %s", s->what, unpack_reason(s->archive));
}

int unpack_next(struct unpack_stream *s, struct unpack_member *m, struct err *e)
{
	struct archive_entry *entry;
	bool first = archive_file_count(s->archive) == 0;

	if (first && !s->needs_end && s->span->at == s->span->end)
		return 0;
	if (!first || s->headers.len > 0)
		buf_clear(&s->headers);
	else if (open_stream(s, e) < 0)
		return -1;
	int result = archive_read_next_header(s->archive, &entry);
	s->left = s->taken = 0;
	if (unpack_failed(s, e))
		return -1;
	if (result == ARCHIVE_EOF)
		return check_end(s, first, e);
	if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
		return broken(s, m, e);
	s->entry = entry;
	m->name = archive_entry_pathname(entry);
	if (m->name == NULL)
		m->name = "";
	m->is_file = archive_entry_filetype(entry) == AE_IFREG &&
		     archive_entry_hardlink(entry) == NULL;
	m->size = m->is_file ? (uint64_t)archive_entry_size(entry) : 0;
	s->left = m->size;
	if (unpack_find_records(s, m, e) < 0)
		return -1;
	s->member = *m;
	s->is_sparse = m->is_file && unpack_is_sparse(s);
	return 1;
}
