#include "archive/unpack.h"

#include "archive/unpack-private.h"
#include "base/err.h"
#include "base/io.h"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

/* --- sparse files --- */

/* The destination of a sparse file: a file, a stream or memory. */
struct expansion {
	int fd; /* -1: write to `out` */
	bool is_file;
	off_t at; /* offset of the contents in the file */
	struct buf *out;
	la_int64_t end;               /* length of the contents so far */
	const struct io_watch *watch; /* may be NULL */
};

static int put_data(struct expansion *x, const void *data, size_t len)
{
	x->end += (la_int64_t)len;
	if (x->watch != NULL)
		x->watch->see(x->watch->arg, data, len);
	if (x->fd >= 0)
		return io_write(x->fd, data, len);
	buf_add(x->out, data, len);
	return 0;
}

/* Extends the contents to `offset` with a hole. */
static int put_hole(struct expansion *x, la_int64_t offset)
{
	static const char zeroes[UNPACK_WINDOW];

	if (x->is_file) {
		x->end = offset;
		return lseek(x->fd, x->at + offset, SEEK_SET) < 0 ? -1 : 0;
	}
	while (x->end < offset) {
		la_int64_t n = offset - x->end;
		if (put_data(x, zeroes, n < UNPACK_WINDOW ? (size_t)n : UNPACK_WINDOW) <
		    0)
			return -1;
	}
	return 0;
}

/* Returns how many bytes of the member are data according to its headers. */
static la_int64_t data_size(struct archive_entry *entry)
{
	la_int64_t offset, len, sum = 0;

	if (archive_entry_sparse_reset(entry) == 0)
		return archive_entry_size(entry);
	/* The sum may wrap around, because the caller reports a wrong sum as an error. */
	while (archive_entry_sparse_next(entry, &offset, &len) == ARCHIVE_OK)
		sum = (la_int64_t)((uint64_t)sum + (uint64_t)len);
	return sum;
}

/* Writes the pieces that libarchive finds and the holes between them. */
static int put_pieces(struct unpack_stream *s, struct expansion *x, struct err *e)
{
	la_int64_t size = archive_entry_size(s->entry), offset, sum = 0;
	const void *data;
	size_t len;
	int result;

	while ((result = archive_read_data_block(s->archive, &data, &len, &offset)) ==
	       ARCHIVE_OK) {
		if (offset < x->end || offset > size || (la_int64_t)len > size - offset)
			return err_set(e, "%s: a sparse file has data after its end",
				       s->what);
		if (put_hole(x, offset) < 0 || put_data(x, data, len) < 0)
			return err_set_errno(e, "writing a sparse file of %s", s->what);
		sum += (la_int64_t)len;
	}
	if (unpack_failed(s, e))
		return -1;
	if (result != ARCHIVE_EOF)
		return err_set(e, "%s: %s", s->what, unpack_reason(s->archive));
	if (sum != data_size(s->entry))
		return err_set(e, "%s: a sparse file has less data than its header says",
			       s->what);
	return put_hole(x, size) < 0
		   ? err_set_errno(e, "writing a sparse file of %s", s->what)
		   : 0;
}

static int expand(struct unpack_stream *s, struct expansion *x, struct err *e)
{
	if (unpack_charge(s->left, s->what, e) < 0)
		return -1;
	s->is_expanding = true;
	int result = put_pieces(s, x, e);
	s->is_expanding = false;
	s->left = 0;
	return result;
}

int unpack_expand(struct unpack_stream *s, int out, off_t at, struct err *e)
{
	struct expansion x = {.fd = out, .is_file = true, .at = at};

	if (expand(s, &x, e) < 0)
		return -1;
	if (ftruncate(out, at + x.end) < 0)
		return err_set_errno(e, "writing a temporary file");
	return 0;
}

/* --- contents --- */

static int truncated(const struct unpack_stream *s, struct err *e)
{
	return err_set(e, "%s: truncated in the middle of a member", s->what);
}

int unpack_copy(struct unpack_stream *s, int out, const struct io_watch *watch,
		struct err *e)
{
	struct expansion x = {.fd = out, .watch = watch};

	if (s->is_sparse && s->left > 0)
		return expand(s, &x, e);
	int64_t n = io_copy_seen(s->fd, NULL, out, s->left, watch);
	if (n < 0)
		return err_set_errno(e, "copying the contents of %s", s->what);
	s->taken += (uint64_t)n;
	s->left -= (uint64_t)n;
	return s->left == 0 ? 0 : truncated(s, e);
}

int unpack_pass(struct unpack_stream *s,
		int (*see)(void *arg, const void *data, size_t len, struct err *e),
		void *arg, struct err *e)
{
	char piece[UNPACK_WINDOW];

	if (s->is_sparse)
		return err_set(e, "%s: a sparse file in place of a layer", s->what);
	while (s->left > 0) {
		size_t want = s->left < sizeof piece ? (size_t)s->left : sizeof piece;
		ssize_t n = io_read(s->fd, piece, want);
		if (n < 0)
			return err_set_errno(e, "%s", s->what);
		s->taken += (uint64_t)n;
		s->left -= (uint64_t)n;
		if ((size_t)n < want)
			return truncated(s, e);
		if (see(arg, piece, want, e) < 0)
			return -1;
	}
	return 0;
}

int unpack_read(struct unpack_stream *s, struct buf *out, size_t limit, struct err *e)
{
	if (s->left > limit)
		return err_set(e, "%s: a member of more than %zu bytes", s->what, limit);
	struct expansion x = {.fd = -1, .out = out};
	if (s->is_sparse && s->left > 0)
		return expand(s, &x, e);
	size_t want = (size_t)s->left;
	ssize_t n = io_read(s->fd, buf_reserve(out, want), want);
	if (n < 0)
		return err_set_errno(e, "%s", s->what);
	out->len += (size_t)n;
	out->data[out->len] = '\0';
	s->taken += (uint64_t)n;
	s->left -= (uint64_t)n;
	return s->left == 0 ? 0 : truncated(s, e);
}
