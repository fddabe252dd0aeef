#include "unpack.h"

#include "err.h"
#include "io.h"
#include "mem.h"
#include "num.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK = 512,
	HEADERS_MAX = 4 << 20, /* of one member */
};

static const char *reason(struct archive *a)
{
	const char *s = archive_error_string(a);
	return s != NULL ? s : "broken archive";
}

/*
 * libarchive gets the headers, block by block, and nothing else: contents go from the
 * descriptor straight to where the caller wants them, and libarchive is told that they
 * were skipped.
 */
struct unpack_stream {
	struct archive *archive;
	int fd;
	const char *what;
	uint64_t left;      /* contents of the member that are still in fd */
	uint64_t taken;     /* contents that libarchive has not been told of */
	int error;          /* errno of a read that failed, or 0 */
	struct buf headers; /* the blocks since the last member's contents */
	char block[BLOCK];
};

static bool is_zero(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != '\0')
			return false;
	return true;
}

static la_ssize_t give_block(struct archive *a, void *data, const void **block)
{
	struct unpack_stream *s = data;
	ssize_t n = io_read(s->fd, s->block, BLOCK);

	if (n < 0) {
		s->error = errno;
		archive_set_error(a, errno, "%s", strerror(errno));
		return -1;
	}
	if (s->headers.len >= HEADERS_MAX) {
		/* Only the zeroes behind an end-of-archive mark have no bound. */
		if (!is_zero(s->headers.data, s->headers.len)) {
			archive_set_error(a, EFBIG, "headers too large");
			return -1;
		}
		s->headers.len = 2 * BLOCK;
	}
	buf_add(&s->headers, s->block, (size_t)n);
	*block = s->block;
	return n;
}

/* Reads over `len` bytes; returns how many there were. */
static uint64_t discard(struct unpack_stream *s, uint64_t len)
{
	static char scratch[65536];
	uint64_t done = 0;

	while (done < len) {
		size_t want =
		    len - done < sizeof scratch ? (size_t)(len - done) : sizeof scratch;
		ssize_t n = io_read(s->fd, scratch, want);
		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	return done;
}

/* What was skipped; that it is less tells libarchive of the end. */
static la_int64_t skip(struct archive *a, void *data, la_int64_t request)
{
	struct unpack_stream *s = data;
	uint64_t want = (uint64_t)request, taken = want < s->taken ? want : s->taken;

	(void)a;
	s->taken -= taken;
	return (la_int64_t)(taken + discard(s, want - taken));
}

struct unpack_stream *unpack_stream_new(int fd, const char *what)
{
	struct unpack_stream *s = mem_zero(1, sizeof *s);

	s->fd = fd;
	s->what = what;
	s->archive = archive_read_new();
	if (s->archive == NULL)
		die("out of memory");
	archive_read_support_format_tar(s->archive);
	archive_read_set_options(s->archive,
				 "tar:read_concatenated_archives,hdrcharset=BINARY");
	archive_read_set_callback_data(s->archive, s);
	archive_read_set_read_callback(s->archive, give_block);
	archive_read_set_skip_callback(s->archive, skip);
	return s;
}

void unpack_stream_release(struct unpack_stream *s)
{
	if (s == NULL)
		return;
	archive_read_free(s->archive);
	buf_release(&s->headers);
	free(s);
}

/* Whether the blocks since the last contents begin with an end-of-archive mark. */
static bool ended_with_mark(const struct unpack_stream *s)
{
	return s->headers.len >= 2 * BLOCK && is_zero(s->headers.data, s->headers.len);
}

/* Where the pax records are among the member's header blocks, which libarchive has
 * found to be well-formed. */
static void find_records(const struct unpack_stream *s, struct unpack_member *m)
{
	const char *p = s->headers.data, *end = p + s->headers.len;

	m->records = "";
	m->records_len = 0;
	while (end - p >= BLOCK && is_zero(p, BLOCK))
		p += BLOCK;
	if (end - p < BLOCK || p[156] != 'x')
		return;
	char size[13] = {0};
	memcpy(size, p + 124, 12);
	uint64_t len = strtoull(size, NULL, 8);
	if (len <= (uint64_t)(end - p - BLOCK)) {
		m->records = p + BLOCK;
		m->records_len = (size_t)len;
	}
}

int unpack_next(struct unpack_stream *s, struct unpack_member *m, struct err *e)
{
	struct archive_entry *entry;
	bool first = archive_file_count(s->archive) == 0;

	if (first && s->headers.len == 0) {
		int opened = archive_read_open1(s->archive);
		if (s->headers.len == 0 && s->error == 0)
			return err_set(e, "%s: empty, no archive came in", s->what);
		if (s->error != 0)
			return err_set(e, "%s: %s", s->what, strerror(s->error));
		if (opened != ARCHIVE_OK)
			return err_set(e, "%s: not a layer archive: %s", s->what,
				       reason(s->archive));
	} else {
		buf_clear(&s->headers);
	}
	int result = archive_read_next_header(s->archive, &entry);
	s->left = s->taken = 0;
	if (result == ARCHIVE_EOF && first)
		return err_set(e, "%s: an archive without members", s->what);
	if (result == ARCHIVE_EOF && ended_with_mark(s))
		return 0;
	if (result == ARCHIVE_EOF)
		return err_set(e, "%s: cut off, it has no end-of-archive mark", s->what);
	if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
		return err_set(e, "%s: not a whole layer archive: %s", s->what,
			       reason(s->archive));
	m->name = archive_entry_pathname(entry);
	if (m->name == NULL)
		m->name = "";
	m->is_file = archive_entry_filetype(entry) == AE_IFREG &&
		     archive_entry_hardlink(entry) == NULL;
	m->size = m->is_file ? (uint64_t)archive_entry_size(entry) : 0;
	s->left = m->size;
	find_records(s, m);
	return 1;
}

int unpack_copy(struct unpack_stream *s, int out, struct err *e)
{
	int64_t n = io_copy(s->fd, NULL, out, s->left);

	if (n < 0)
		return err_set_errno(e, "passing on %s", s->what);
	s->taken += (uint64_t)n;
	s->left -= (uint64_t)n;
	if (s->left != 0)
		return err_set(e, "%s: cut off in the middle of a member", s->what);
	return 0;
}

int unpack_read(struct unpack_stream *s, struct buf *out, size_t limit, struct err *e)
{
	if (s->left > limit)
		return err_set(e, "%s: a member of more than %zu bytes", s->what, limit);
	size_t want = (size_t)s->left;
	ssize_t n = io_read(s->fd, buf_reserve(out, want), want);
	if (n < 0)
		return err_set_errno(e, "%s", s->what);
	out->len += (size_t)n;
	out->data[out->len] = '\0';
	s->taken += (uint64_t)n;
	s->left -= (uint64_t)n;
	if (s->left != 0)
		return err_set(e, "%s: cut off in the middle of a member", s->what);
	return 0;
}

bool unpack_record(const struct unpack_member *m, const char *key, const char **value,
		   size_t *len)
{
	const char *p = m->records, *end = p + m->records_len;
	size_t key_len = strlen(key);
	bool found = false;

	while (p < end) {
		const char *blank = memchr(p, ' ', (size_t)(end - p));
		uint64_t n;
		if (blank == NULL ||
		    num_parse(p, (size_t)(blank - p), (uint64_t)(end - p), &n) < 0)
			break;
		const char *next = p + n, *text = blank + 1;
		if (next - text > (ptrdiff_t)key_len + 1 &&
		    memcmp(text, key, key_len) == 0 && text[key_len] == '=') {
			*value = text + key_len + 1;
			*len = (size_t)(next - 1 - *value);
			found = true;
		}
		if (next <= p)
			break;
		p = next;
	}
	return found;
}
