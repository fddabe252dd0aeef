#include "unpack.h"

#include "compress.h"
#include "err.h"
#include "io.h"
#include "mem.h"
#include "path.h"

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
	MEMBERS_MAX = 1 << 20, /* of an indexed archive */
	LINKS_MAX = 40,        /* as many as the kernel follows */
};

static const char *reason(struct archive *a)
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

/* A reader of what the span holds when it is uncompressed; both are the caller's. */
static struct archive *span_reader(struct span *s, int fd, off_t offset, uint64_t size)
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

/* Going by its magic, or by what libarchive finds in it. */
static bool is_compressed(int fd, off_t offset, uint64_t size)
{
	if (size == 0 || format_of(fd, offset, size) != COMPRESS_NONE)
		return size > 0;
	struct span *s = mem_zero(1, sizeof *s);
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
	return result == ARCHIVE_EOF ? 0 : err_set(e, "%s: %s", what, reason(a));
}

int unpack_inflate(int fd, off_t offset, uint64_t size,
		   int (*write)(void *arg, const void *data, size_t len, struct err *e),
		   void *arg, const char *what, struct err *e)
{
	enum compress_format format = format_of(fd, offset, size);

	/* libarchive can do these, too, but takes longer. */
	if (format == COMPRESS_GZIP || format == COMPRESS_ZSTD)
		return compress_inflate(fd, offset, size, write, arg, what, e);
	struct span *s = mem_zero(1, sizeof *s);
	struct archive *a = span_reader(s, fd, offset, size);
	int result = archive_read_open1(a) == ARCHIVE_OK
			 ? give_pieces(a, write, arg, what, e)
			 : err_set(e, "%s: %s", what, reason(a));

	archive_read_free(a);
	free(s);
	return result;
}

static int write_piece(void *arg, const void *data, size_t len, struct err *e)
{
	return io_write(*(const int *)arg, data, len) == 0
		   ? 0
		   : err_set_errno(e, "writing a temporary file");
}

/*
 * Uncompresses the span into a new temporary file. Returns its descriptor; -2 if there is
 * nothing to uncompress; -1 and why not.
 */
static int inflate_span(int fd, off_t offset, uint64_t size, const char *what,
			struct err *e)
{
	if (!is_compressed(fd, offset, size))
		return -2;
	int plain = io_tmpfile();
	if (plain < 0)
		return err_set_errno(e, "a temporary file");
	if (unpack_inflate(fd, offset, size, write_piece, &plain, what, e) < 0) {
		close(plain);
		return -1;
	}
	return plain;
}

int unpack_open(const char *name, const char *what, struct err *e)
{
	bool is_stdin = strcmp(name, "-") == 0;
	const char *file = is_stdin ? "stdin" : name;
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
		return err_set(e, "%s: empty, not %s", file, what);
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

/* Whether the end-of-archive mark is where the last member ends. */
static int check_end(const struct unpack_index *x, off_t end, const char *file,
		     struct err *e)
{
	static const char mark[2 * BLOCK];
	char found[sizeof mark];

	if (io_pread(x->fd, found, sizeof found, end) != sizeof found ||
	    memcmp(found, mark, sizeof mark) != 0)
		return err_set(e, "%s: cut off, it has no end-of-archive mark", file);
	return 0;
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
			return check_end(x, archive_read_header_position(a), file, e);
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
			struct buf leads_to = {0};
			path_target(name, target, &leads_to);
			p->link = leads_to.data;
		} else if (archive_entry_filetype(entry) == AE_IFREG) {
			p->is_file = true;
			p->size = (uint64_t)archive_entry_size(entry);
			last = p;
			last_id = (uint32_t)(p - x->place);
		}
	}
}

int unpack_index_open(struct unpack_index *x, const char *name, struct err *e)
{
	const char *file = strcmp(name, "-") == 0 ? "stdin" : name;

	*x = (struct unpack_index){.fd = -1};
	x->fd = unpack_open(name, "an image", e);
	if (x->fd < 0)
		return -1;
	struct archive *a = archive_read_new();
	if (a == NULL)
		die("out of memory");
	archive_read_support_format_tar(a);
	archive_read_set_options(a, "tar:read_concatenated_archives,hdrcharset=BINARY");
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
	ssize_t n = io_pread(x->fd, buf_reserve(out, size), size, p->offset);
	if (n < 0 || (size_t)n != size)
		return err_set(e, "cut off in the middle of a member");
	out->len += size;
	out->data[out->len] = '\0';
	return 0;
}

bool unpack_is_compressed(const struct unpack_index *x, const struct unpack_place *p)
{
	return is_compressed(x->fd, p->offset, p->size);
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
