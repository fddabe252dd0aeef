/*
 * A tar as dt-manifest reads it from a pipe, as a layer of a file, and as an archive of a
 * file. Contents are copied, kept, passed on or skipped.
 */
#include "archive/unpack.h"

#include "base/err.h"
#include "base/io.h"
#include "image/layernote.h"
#include "mutator.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { MEMBERS_MAX = 1000, KEPT_MAX = 1 << 16 };

static int count(void *arg, const void *data, size_t len, struct err *e)
{
	uint64_t *n = arg;

	(void)data;
	(void)e;
	*n += len;
	return 0;
}

/* Goes through a stream as dt-manifest does. */
static void read_stream(int fd, int null)
{
	struct unpack_stream *s = unpack_stream_new(fd, "input");
	struct unpack_member m;
	struct buf text = {0};
	struct err e;
	struct layernote note;

	for (size_t n = 0; n < MEMBERS_MAX && unpack_next(s, &m, &e) > 0; n++) {
		uint64_t passed = 0;
		int result = 0;
		(void)layernote_read(&note, &m, &e);
		layernote_release(&note);
		buf_clear(&text);
		if (n % 4 == 0)
			result = unpack_copy(s, null, NULL, &e);
		else if (n % 4 == 1)
			result = unpack_read(s, &text, KEPT_MAX, &e);
		else if (n % 4 == 2)
			result = unpack_pass(s, count, &passed, &e);
		if (result < 0)
			break;
		if ((n % 4 == 1 && text.len != m.size) ||
		    (n % 4 == 2 && passed != m.size))
			abort();
	}
	unpack_stream_release(s);
	buf_release(&text);
}

/* Skips all contents. A function that sees what is skipped sees all that was read. */
static void skip_stream(int fd)
{
	struct unpack_stream *s = unpack_stream_new(fd, "input");
	struct unpack_member m;
	struct err e;
	uint64_t seen = 0;
	int more = 1;

	unpack_stream_tee(s, count, &seen);
	for (size_t n = 0; n < MEMBERS_MAX && more > 0; n++)
		more = unpack_next(s, &m, &e);
	if (lseek(fd, 0, SEEK_CUR) != (off_t)seen)
		abort();
	unpack_stream_release(s);
}

/* Describes all members of a layer or an archive, and expands sparse files. */
static void describe(struct unpack_stream *s, uint64_t size)
{
	struct unpack_attributes a = {0};
	struct unpack_member m;
	struct err e;
	int spool = memfd_create("spool", MFD_CLOEXEC);

	for (size_t n = 0; n < MEMBERS_MAX && unpack_next(s, &m, &e) > 0; n++) {
		if (unpack_describe(s, &a, &e) < 0)
			break;
		if (a.nsec > 999999999 || (a.is_hardlink && a.link == NULL) ||
		    (m.is_file && a.offset >= 0 && (uint64_t)a.offset + m.size > size))
			abort();
		if (!m.is_file || a.offset >= 0 || m.size == 0)
			continue;
		off_t at = lseek(spool, 0, SEEK_END);
		if (unpack_expand(s, spool, at, &e) < 0)
			break;
		if (lseek(spool, 0, SEEK_END) != at + (off_t)m.size)
			abort();
	}
	buf_release(&a.xattrs);
	unpack_stream_release(s);
	close(spool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static int null = -1;
	int fd = memfd_create("stream", MFD_CLOEXEC);

	if (null < 0)
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || null < 0 || io_write(fd, data, len) < 0)
		return 1;
	unpack_limit(64 << 20); /* for each input */
	if (lseek(fd, 0, SEEK_SET) < 0)
		return 1;
	read_stream(fd, null);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return 1;
	skip_stream(fd);
	describe(unpack_layer_new(fd, 0, len, "input"), len);
	describe(unpack_archive_new(fd, len, "input"), len);
	if (len > TAR_BLOCK) {
		struct unpack_stream *s =
		    unpack_layer_new(fd, TAR_BLOCK, len - TAR_BLOCK, "input");
		unpack_layer_demand_end(s);
		describe(s, len);
	}
	close(fd);
	return 0;
}
