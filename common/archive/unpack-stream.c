#include "archive/unpack.h"

#include "archive/tar.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BLOCK = 512,
	HEADERS_MAX = 4 << 20, /* limit for one member */
	WINDOW = 64 * 1024,
	SIZE = 124, /* offsets of fields in a header */
	SIZE_LEN = 12,
	TYPE = 156,
};

static const char *reason(struct archive *a)
{
	const char *s = archive_error_string(a);
	return s != NULL ? s : "broken archive";
}

/* Options of libarchive. */
static const char concatenated[] = "tar:read_concatenated_archives,hdrcharset=BINARY";

/* The part of a file that contains a layer. */
struct span {
	off_t at, end;
	off_t window; /* offset of `data` in the file */
	size_t held;  /* number of bytes in `data` */
	char data[WINDOW];
};

/*
 * libarchive gets only the headers, block by block. Contents go from the descriptor to
 * the caller without passing through libarchive, which treats them as skipped.
 */
struct unpack_stream {
	struct archive *archive;
	struct archive_entry *entry; /* of the current member */
	struct unpack_member member;
	int fd;
	const char *what;
	struct span *span; /* place of a layer; NULL: fd is read to its end */
	bool needs_end;    /* an end-of-archive marker is required */
	uint64_t left;     /* contents of the member not yet read from fd */
	uint64_t taken;    /* contents read, not yet reported to libarchive */
	bool is_sparse;    /* libarchive must read the member's contents */
	bool is_expanding; /* libarchive is reading contents */
	int error;         /* errno of a failed read, or 0 */
	int (*tee)(void *arg, const void *data, size_t len, struct err *e);
	void *tee_arg;
	bool tee_failed; /* tee() failed; the reason is in `why` */
	struct err why;
	struct buf headers; /* blocks since the contents of the last member */
	char block[BLOCK];
};

static bool is_zero(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != '\0')
			return false;
	return true;
}

/* Fills the window from span->at. Returns the number of bytes, or -1. */
static ssize_t move_window(const struct unpack_stream *s)
{
	struct span *span = s->span;
	off_t left = span->end - span->at;
	size_t want = left < WINDOW ? (size_t)left : WINDOW;
	ssize_t n = io_pread(s->fd, span->data, want, span->at);

	span->window = span->at;
	span->held = n > 0 ? (size_t)n : 0;
	return n;
}

/* Reads `len` bytes, or fewer at the end. */
static ssize_t read_bytes(const struct unpack_stream *s, char *to, size_t len)
{
	struct span *span = s->span;
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
	ssize_t n = take(s, s->block, BLOCK);

	if (n < 0) {
		archive_set_error(a, s->error, "%s", strerror(s->error));
		return -1;
	}
	*block = s->block;
	if (s->is_expanding)
		return n;
	if (s->headers.len >= HEADERS_MAX) {
		/* Only the zeros after an end-of-archive marker may have any length. */
		if (!is_zero(s->headers.data, s->headers.len)) {
			archive_set_error(a, EFBIG, "headers too large");
			return -1;
		}
		s->headers.len = 2 * BLOCK;
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
	return s->headers.len >= 2 * BLOCK && is_zero(s->headers.data, s->headers.len);
}

/* Types of headers that extend the next header. */
static const char extending[] = {'x', 'g', 'L', 'K', 'X', 'V'};

/* A header of the member, and its data if it extends another header. */
struct header {
	const char *block, *data;
	uint64_t len;
};

/*
 * Returns the number in a field of a header: octal digits, or binary if the highest bit
 * is set.
 */
static uint64_t field_number(const char *field, size_t len)
{
	uint64_t n = 0;
	char digits[32] = {0};

	if ((field[0] & 0x80) == 0) {
		memcpy(digits, field, len);
		return strtoull(digits, NULL, 8);
	}
	for (size_t i = 1; i < len; i++)
		n = n << 8 | (unsigned char)field[i];
	return n;
}

/*
 * Finds the next header in the blocks since the last contents. libarchive has checked
 * that these are well-formed. *p must start as s->headers.data. The last header is the
 * member's own and extends no other header.
 */
static bool next_header(const struct unpack_stream *s, const char **p, struct header *h)
{
	const char *end = s->headers.data + s->headers.len;

	while (end - *p >= BLOCK && is_zero(*p, BLOCK))
		*p += BLOCK;
	if (end - *p < BLOCK)
		return false;
	*h = (struct header){.block = *p, .data = *p + BLOCK};
	if (memchr(extending, h->block[TYPE], sizeof extending) != NULL)
		h->len = field_number(h->block + SIZE, SIZE_LEN);
	if (h->len > (uint64_t)(end - h->data))
		return false;
	*p = h->data + h->len + tar_padding(h->len);
	return true;
}

/*
 * Finds the pax records of the member and checks all records before it. m->name may be
 * NULL.
 */
static int find_records(const struct unpack_stream *s, struct unpack_member *m,
			struct err *e)
{
	const char *p = s->headers.data;
	struct header h;

	m->records = "";
	m->records_len = 0;
	while (next_header(s, &p, &h)) {
		if (h.block[TYPE] != 'x' && h.block[TYPE] != 'g')
			continue;
		if (unpack_check_records(h.data, (size_t)h.len, e) < 0)
			return err_prefix(e, "%s: a malformed pax record of %s", s->what,
					  m->name != NULL ? m->name : "a member");
		if (h.block[TYPE] == 'g')
			continue;
		m->records = h.data;
		m->records_len = (size_t)h.len;
	}
	return 0;
}

/* Returns the member's own header, or NULL. */
static const char *own_header(const struct unpack_stream *s)
{
	const char *p = s->headers.data;
	struct header h;

	while (next_header(s, &p, &h))
		if (memchr(extending, h.block[TYPE], sizeof extending) == NULL)
			return h.block;
	return NULL;
}

/*
 * Returns whether the archive stores a file in pieces, so that the stored size differs
 * from the size of the file. libarchive alone does not report every such file, so the
 * headers are examined, too.
 */
static bool is_sparse(const struct unpack_stream *s)
{
	const char *header = own_header(s), *records = s->member.records;
	size_t len = s->member.records_len;

	return archive_entry_sparse_count(s->entry) > 0 || header == NULL ||
	       header[TYPE] == 'S' || memmem(records, len, "GNU.sparse.", 11) != NULL ||
	       memmem(records, len, "SCHILY.realsize=", 16) != NULL;
}

/*
 * Returns whether reading or tee() failed. libarchive treats both as the end of the
 * input.
 */
static bool failed(const struct unpack_stream *s, struct err *e)
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

	if (failed(s, e))
		return -1;
	if (s->headers.len == 0)
		return err_set(e, "%s: empty, an archive is expected", s->what);
	if (opened != ARCHIVE_OK)
		return err_set(e, "%s: not an archive: %s", s->what, reason(s->archive));
	return 0;
}

/*
 * Checks the end of the archive. A layer needs neither a marker nor members. A single
 * block of zeros is not a marker, although libarchive accepts it.
 */
static int check_end(const struct unpack_stream *s, bool is_empty, struct err *e)
{
	if (s->span != NULL && s->headers.len >= 2 * BLOCK &&
	    !is_zero(s->headers.data, 2 * BLOCK))
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
	if (find_records(s, m, e) < 0)
		return -1;
	return err_set(e, "%s: broken archive: %s", s->what, reason(s->archive));
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
	if (failed(s, e))
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
	if (find_records(s, m, e) < 0)
		return -1;
	s->member = *m;
	s->is_sparse = m->is_file && is_sparse(s);
	return 1;
}

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
	static const char zeroes[WINDOW];

	if (x->is_file) {
		x->end = offset;
		return lseek(x->fd, x->at + offset, SEEK_SET) < 0 ? -1 : 0;
	}
	while (x->end < offset) {
		la_int64_t n = offset - x->end;
		if (put_data(x, zeroes, n < WINDOW ? (size_t)n : WINDOW) < 0)
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
	if (failed(s, e))
		return -1;
	if (result != ARCHIVE_EOF)
		return err_set(e, "%s: %s", s->what, reason(s->archive));
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
	if (s->left != 0)
		return err_set(e, "%s: truncated in the middle of a member", s->what);
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
	if (s->left != 0)
		return err_set(e, "%s: truncated in the middle of a member", s->what);
	return 0;
}

/* --- metadata of members --- */

struct entry_xattr {
	const char *name;
	const void *value;
	size_t len;
};

static int compare_xattrs(const void *a, const void *b)
{
	const struct entry_xattr *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Some archives contain each attribute twice, under the keys of two programs. */
static void add_xattrs(struct archive_entry *entry, struct buf *records)
{
	size_t n = (size_t)archive_entry_xattr_reset(entry);
	struct entry_xattr *list = mem_zero(n, sizeof *list);

	for (size_t i = 0; i < n; i++)
		archive_entry_xattr_next(entry, &list[i].name, &list[i].value,
					 &list[i].len);
	if (n > 1)
		qsort(list, n, sizeof *list, compare_xattrs);
	for (size_t i = 0; i < n; i++) {
		if (list[i].name == NULL ||
		    (i > 0 && strcmp(list[i].name, list[i - 1].name) == 0))
			continue;
		tar_xattr(records, list[i].name, list[i].value, list[i].len);
	}
	free(list);
}

/*
 * Parses a negative mtime of a pax record, because libarchive reads its fraction as
 * positive. Returns whether there is such a record.
 */
static bool negative_time(const struct unpack_stream *s, struct unpack_attributes *a)
{
	const char *text;
	size_t len;
	uint64_t seconds, nsec = 0;

	if (!unpack_record(&s->member, "mtime", &text, &len) || len < 2 || text[0] != '-')
		return false;
	const char *point = memchr(text, '.', len);
	size_t whole = point != NULL ? (size_t)(point - text) : len;
	if (num_parse(text + 1, whole - 1, INT64_MAX, &seconds) < 0)
		return false;
	for (size_t i = 1, unit = 100000000; i < 10 && whole + i < len; i++, unit /= 10) {
		unsigned digit = (unsigned)(text[whole + i] - '0');
		if (digit > 9)
			return false;
		nsec += digit * unit;
	}
	a->mtime = -(int64_t)seconds - (nsec > 0);
	a->nsec = nsec > 0 ? (uint32_t)(1000000000 - nsec) : 0;
	return true;
}

/*
 * Returns the mode in the member's header. libarchive changes the mode if there is an
 * ACL.
 */
static uint32_t mode_in_header(const struct unpack_stream *s, uint32_t mode)
{
	const char *header = own_header(s);
	char digits[9] = {0};

	if (header == NULL)
		return mode;
	memcpy(digits, header + 100, 8);
	return (mode & S_IFMT) | (strtoul(digits, NULL, 8) & 07777);
}

int unpack_describe(struct unpack_stream *s, struct unpack_attributes *a, struct err *e)
{
	struct archive_entry *entry = s->entry;
	struct buf xattrs = a->xattrs;
	la_int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
	const char *hardlink = archive_entry_hardlink(entry);

	buf_clear(&xattrs);
	*a = (struct unpack_attributes){
	    .mode = archive_entry_mode(entry),
	    .is_hardlink = hardlink != NULL,
	    .link = hardlink != NULL ? hardlink : archive_entry_symlink(entry),
	    .uid = (uint64_t)uid,
	    .gid = (uint64_t)gid,
	    .mtime = archive_entry_mtime(entry),
	    .nsec = (uint32_t)archive_entry_mtime_nsec(entry),
	    .major = (uint32_t)archive_entry_rdevmajor(entry),
	    .minor = (uint32_t)archive_entry_rdevminor(entry),
	    .xattrs = xattrs,
	    .offset = s->is_sparse ? -1 : s->span->at,
	};
	if (uid < 0 || gid < 0 || archive_entry_size(entry) < 0)
		return err_set(e, "%s: a negative owner or size", s->what);
	if (a->offset >= 0 && s->left > (uint64_t)(s->span->end - s->span->at))
		return err_set(e, "%s: truncated in the middle of a member", s->what);
	if (archive_entry_acl_types(entry) != 0)
		a->mode = mode_in_header(s, a->mode);
	(void)negative_time(s, a);
	add_xattrs(entry, &a->xattrs);
	return 0;
}
