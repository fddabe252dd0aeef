#include "unpack.h"

#include "err.h"
#include "io.h"
#include "mem.h"
#include "num.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BLOCK = 512,
	READ_SIZE = 256 * 1024,
	HEADERS_MAX = 4 << 20, /* of one member of a stream */
	MEMBERS_MAX = 1 << 20, /* of an indexed archive */
	LINKS_MAX = 40,        /* as many as the kernel follows */
};

static const char *reason(struct archive *a)
{
	const char *s = archive_error_string(a);
	return s != NULL ? s : "broken archive";
}

/* --- streams --- */

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
	struct buf headers; /* the blocks since the last member's contents */
	char block[BLOCK];
};

static la_ssize_t give_block(struct archive *a, void *data, const void **block)
{
	struct unpack_stream *s = data;
	ssize_t n = io_read(s->fd, s->block, BLOCK);

	if (n < 0) {
		archive_set_error(a, errno, "%s", strerror(errno));
		return -1;
	}
	if (s->headers.len > HEADERS_MAX) {
		/* The padding behind an end-of-archive mark has no bound; its first two
		 * blocks are all that matters. */
		bool zero = s->headers.data[s->headers.len - 1] == '\0';
		if (!zero) {
			archive_set_error(a, EFBIG, "headers too large");
			return -1;
		}
		s->headers.len = 2 * BLOCK;
		memset(s->headers.data, 0, 2 * BLOCK);
	}
	buf_add(&s->headers, s->block, (size_t)n);
	*block = s->block;
	return n;
}

static int discard(struct unpack_stream *s, uint64_t len)
{
	static char scratch[65536];

	while (len > 0) {
		size_t want = len < sizeof scratch ? (size_t)len : sizeof scratch;
		ssize_t n = io_read(s->fd, scratch, want);
		if (n <= 0)
			return -1;
		len -= (uint64_t)n;
	}
	return 0;
}

static la_int64_t skip(struct archive *a, void *data, la_int64_t request)
{
	struct unpack_stream *s = data;
	uint64_t want = (uint64_t)request, taken = want < s->taken ? want : s->taken;

	s->taken -= taken;
	if (discard(s, want - taken) < 0) {
		archive_set_error(a, EIO, "cut off in the middle of a member");
		return -1;
	}
	return request;
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

static bool is_zero(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != '\0')
			return false;
	return true;
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
		/* An empty input is not an archive; libarchive would take it for one. */
		if (archive_read_open1(s->archive) != ARCHIVE_OK)
			return err_set(e, "%s: %s", s->what, reason(s->archive));
		if (s->headers.len == 0)
			return err_set(e, "%s: empty, no archive came in", s->what);
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

/* --- indexes --- */

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

/* A span of a file, as libarchive reads it. */
struct span {
	int fd;
	off_t at;
	uint64_t left;
	char data[READ_SIZE];
};

static la_ssize_t give_span(struct archive *a, void *data, const void **block)
{
	struct span *s = data;
	size_t want = s->left < READ_SIZE ? (size_t)s->left : READ_SIZE;
	ssize_t n = pread(s->fd, s->data, want, s->at);

	if (n < 0) {
		archive_set_error(a, errno, "%s", strerror(errno));
		return -1;
	}
	s->at += n;
	s->left -= (uint64_t)n;
	*block = s->data;
	return n;
}

static int give_all(struct archive *a, int out, const char *what, struct err *e)
{
	for (;;) {
		const void *data;
		size_t len;
		la_int64_t offset;
		int result = archive_read_data_block(a, &data, &len, &offset);
		if (result == ARCHIVE_EOF)
			return 0;
		if (result != ARCHIVE_OK)
			return err_set(e, "%s: %s", what, reason(a));
		if (io_write(out, data, len) < 0)
			return err_set_errno(e, "writing a temporary file");
	}
}

/*
 * Uncompresses what the opened reader `a` delivers into a new temporary file. Returns its
 * descriptor; -2 if there is nothing to uncompress; -1 and why not.
 */
static int inflate(struct archive *a, const char *what, struct err *e)
{
	struct archive_entry *entry;
	int result = archive_read_next_header(a, &entry);

	if (result == ARCHIVE_EOF)
		return -2;
	if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
		return err_set(e, "%s: %s", what, reason(a));
	if (archive_filter_count(a) <= 1)
		return -2;
	int fd = io_tmpfile();
	if (fd < 0)
		return err_set_errno(e, "a temporary file");
	if (give_all(a, fd, what, e) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int inflate_span(int fd, off_t offset, uint64_t size, const char *what,
			struct err *e)
{
	struct span *s = mem_zero(1, sizeof *s);
	struct archive *a = new_reader();

	*s = (struct span){.fd = fd, .at = offset, .left = size};
	archive_read_support_format_raw(a);
	archive_read_set_callback_data(a, s);
	archive_read_set_read_callback(a, give_span);
	int result = archive_read_open1(a) == ARCHIVE_OK
			 ? inflate(a, what, e)
			 : err_set(e, "%s: %s", what, reason(a));
	archive_read_free(a);
	free(s);
	return result;
}

/* The archive as an uncompressed regular file, or -1 and why not. */
static int open_plain(const char *file, struct err *e)
{
	bool is_stdin = strcmp(file, "-") == 0;
	int fd = is_stdin ? dup(STDIN_FILENO) : open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set_errno(e, "%s", file);
	if (!S_ISREG(st.st_mode)) {
		int copy = io_tmpfile();
		if (copy < 0 || io_copy(fd, NULL, copy, INT64_MAX) < 0) {
			close(fd);
			return err_set_errno(e, "%s: copying it to a temporary file",
					     file);
		}
		close(fd);
		fd = copy;
		if (fstat(fd, &st) < 0)
			return err_set_errno(e, "%s", file);
	}
	if (st.st_size == 0) {
		close(fd);
		return err_set(e, "%s: empty, not an image", file);
	}
	int plain = inflate_span(fd, 0, (uint64_t)st.st_size, file, e);
	if (plain == -2)
		return fd;
	close(fd);
	return plain;
}

/* The name without "./", "../" and "/" in front: what the member is called inside. */
static const char *strip(const char *name)
{
	for (;;) {
		if (name[0] == '/')
			name += 1;
		else if (strncmp(name, "./", 2) == 0)
			name += 2;
		else if (strncmp(name, "../", 3) == 0)
			name += 3;
		else
			return name;
	}
}

/* The name that a symlink `member` with this target stands for. */
static char *resolve(const char *member, const char *target)
{
	struct buf path = {0};
	const char *slash = strrchr(member, '/');

	if (target[0] != '/' && slash != NULL)
		buf_add(&path, member, (size_t)(slash - member));
	for (const char *p = target; *p != '\0';) {
		size_t n = strcspn(p, "/");
		if (n == 2 && strncmp(p, "..", 2) == 0) {
			char *cut = path.len > 0 ? strrchr(path.data, '/') : NULL;
			path.len = cut != NULL ? (size_t)(cut - path.data) : 0;
		} else if (n > 0 && !(n == 1 && *p == '.')) {
			if (path.len > 0)
				buf_addch(&path, '/');
			buf_add(&path, p, n);
		}
		if (path.data != NULL)
			path.data[path.len] = '\0';
		p += n + (p[n] == '/');
	}
	return path.data != NULL ? path.data : mem_strdup("");
}

static struct unpack_place *add_place(struct unpack_index *x, const char *name)
{
	size_t before = x->names.n;
	uint32_t i = names_add(&x->names, name, strlen(name));

	if (x->names.n > before)
		x->place = mem_grow(x->place, &x->cap, x->names.n, sizeof *x->place);
	else
		free(x->place[i].link);
	x->place[i] = (struct unpack_place){0};
	return &x->place[i];
}

static int index_members(struct unpack_index *x, struct archive *a, const char *file,
			 struct err *e)
{
	struct archive_entry *entry;
	struct unpack_place *last = NULL;
	uint32_t last_id = 0;

	for (;;) {
		int result = archive_read_next_header(a, &entry);
		if (last != NULL) {
			/* Contents end where the next header begins, padded to blocks. */
			uint64_t padded = (last->size + BLOCK - 1) / BLOCK * BLOCK;
			x->place[last_id].offset =
			    archive_read_header_position(a) - (off_t)padded;
		}
		last = NULL;
		if (result == ARCHIVE_EOF)
			return 0;
		if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
			return err_set(e, "%s: %s", file, reason(a));
		const char *name = archive_entry_pathname(entry);
		if (name == NULL || x->names.n > MEMBERS_MAX)
			return err_set(e, "%s: not an image archive", file);
		name = strip(name);
		struct unpack_place *p = add_place(x, name);
		const char *target = archive_entry_symlink(entry);
		if (archive_entry_hardlink(entry) != NULL) {
			p->link = mem_strdup(strip(archive_entry_hardlink(entry)));
		} else if (target != NULL) {
			p->link = resolve(name, target);
		} else if (archive_entry_filetype(entry) == AE_IFREG) {
			p->is_file = true;
			p->size = (uint64_t)archive_entry_size(entry);
			last = p;
			last_id = (uint32_t)(p - x->place);
		}
	}
}

int unpack_index_open(struct unpack_index *x, const char *file, struct err *e)
{
	*x = (struct unpack_index){.fd = -1};
	x->fd = open_plain(file, e);
	if (x->fd < 0)
		return -1;
	struct archive *a = archive_read_new();
	if (a == NULL)
		die("out of memory");
	archive_read_support_format_tar(a);
	archive_read_set_options(a, "hdrcharset=BINARY");
	int result;
	if (lseek(x->fd, 0, SEEK_SET) < 0)
		result = err_set_errno(e, "%s", file);
	else if (archive_read_open_fd(a, x->fd, READ_SIZE) != ARCHIVE_OK)
		result = err_set(e, "%s: %s", file, reason(a));
	else
		result = index_members(x, a, file, e);
	archive_read_free(a);
	return result;
}

void unpack_index_release(struct unpack_index *x)
{
	for (size_t i = 0; i < x->names.n; i++)
		free(x->place[i].link);
	free(x->place);
	if (x->names.n > 0 || x->fd > 0)
		close(x->fd);
	names_release(&x->names);
	*x = (struct unpack_index){.fd = -1};
}

const struct unpack_place *unpack_find(const struct unpack_index *x, const char *name,
				       struct err *e)
{
	const char *at = strip(name);

	for (int links = 0; links < LINKS_MAX; links++) {
		uint32_t i = names_find(&x->names, at, strlen(at));
		if (i == NAMES_NONE) {
			err_set(e, "no member '%s'", at);
			return NULL;
		}
		if (x->place[i].link == NULL && x->place[i].is_file)
			return &x->place[i];
		if (x->place[i].link == NULL) {
			err_set(e, "member '%s' is not a file", at);
			return NULL;
		}
		at = x->place[i].link;
	}
	err_set(e, "the links of member '%s' go round in a circle", name);
	return NULL;
}

int unpack_get(const struct unpack_index *x, const struct unpack_place *p,
	       struct buf *out, size_t limit, struct err *e)
{
	if (p->size > limit)
		return err_set(e, "a member of more than %zu bytes", limit);
	size_t size = (size_t)p->size;
	ssize_t n = pread(x->fd, buf_reserve(out, size), size, p->offset);
	if (n < 0 || (size_t)n != size)
		return err_set(e, "cut off in the middle of a member");
	out->len += size;
	out->data[out->len] = '\0';
	return 0;
}

int unpack_plain(const struct unpack_index *x, const struct unpack_place *p,
		 off_t *offset, uint64_t *size, bool *is_own, struct err *e)
{
	struct stat st;

	*offset = p->offset;
	*size = p->size;
	*is_own = false;
	int fd =
	    p->size == 0 ? -2 : inflate_span(x->fd, p->offset, p->size, "a layer", e);
	if (fd == -2)
		return x->fd;
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0) {
		close(fd);
		return err_set_errno(e, "a temporary file");
	}
	*offset = 0;
	*size = (uint64_t)st.st_size;
	*is_own = true;
	return fd;
}
