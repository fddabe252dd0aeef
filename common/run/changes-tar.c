#include "run/changes.h"

#include "archive/tar.h"
#include "base/err.h"
#include "base/io.h"
#include "run/changes-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, ALIGN = 4096 };

int changes_failed(struct changes_writer *w)
{
	return err_set_errno(w->e, "%s", w->path.len > 0 ? w->path.data : "/");
}

void changes_begin(struct changes_writer *w)
{
	w->block = aligned_alloc(ALIGN, BUFFER);
	if (w->block == NULL)
		die("out of memory");
}

static int flush(struct changes_writer *w)
{
	if (io_pwrite(w->p->out, w->block, w->len, (off_t)w->at) < 0)
		return err_set_errno(w->e, "the layer cannot be written");
	w->at += w->len;
	w->len = 0;
	if (w->at > w->p->limit)
		return err_set(w->e, "the layer is too large");
	return 0;
}

/* Writes a multiple of TAR_BLOCK bytes, or zeroes if `data` is NULL. */
static int put(struct changes_writer *w, const char *data, uint64_t len)
{
	while (len > 0) {
		size_t some = BUFFER - w->len;
		if (some > len)
			some = (size_t)len;
		if (data != NULL) {
			memcpy(w->block + w->len, data, some);
			data += some;
		} else {
			memset(w->block + w->len, 0, some);
		}
		w->len += some;
		len -= some;
		if (w->len == BUFFER && flush(w) < 0)
			return -1;
	}
	return 0;
}

/* Skips a hole. The output is zero where nothing is written. */
static int skip(struct changes_writer *w, uint64_t len)
{
	if (flush(w) < 0)
		return -1;
	w->at += len;
	return 0;
}

/* The length of the hole at `at`, rounded down to tar blocks; 0 if there is none. */
static uint64_t hole_at(int fd, uint64_t at, uint64_t size)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);
	uint64_t end = data >= 0 ? (uint64_t)data : size;

	if (data < 0 && errno != ENXIO)
		return 0;
	return end > at ? (end - at) & ~(uint64_t)(TAR_BLOCK - 1) : 0;
}

/* Reads into the rest of the block. Returns the number of bytes, or -1. */
static ssize_t read_some(struct changes_writer *w, int fd, uint64_t at, uint64_t size)
{
	uint64_t left = size - at + tar_padding(size);
	size_t want = BUFFER - w->len < left ? BUFFER - w->len : (size_t)left;
	ssize_t n;

	do
		n = pread(fd, w->block + w->len, want, (off_t)at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return changes_failed(w);
	if ((uint64_t)n > size - at)
		n = (ssize_t)(size - at);
	if (n == 0 || ((size_t)n < want && at + (uint64_t)n < size))
		return err_set(w->e, "%s: changed while it was read", w->path.data);
	return n;
}

int changes_put_contents(struct changes_writer *w, int fd, const struct stat *st)
{
	uint64_t size = (uint64_t)st->st_size, at = 0;
	bool has_holes = (uint64_t)st->st_blocks * 512 < size;

	while (at < size) {
		uint64_t hole = has_holes ? hole_at(fd, at, size) : 0;
		if (hole > BUFFER) {
			if (skip(w, hole) < 0)
				return -1;
			at += hole;
			continue;
		}
		ssize_t n = read_some(w, fd, at, size);
		if (n < 0)
			return -1;
		at += (uint64_t)n;
		w->len += (size_t)n;
		if (at == size) {
			memset(w->block + w->len, 0, tar_padding(size));
			w->len += tar_padding(size);
		}
		if (w->len == BUFFER && flush(w) < 0)
			return -1;
	}
	return 0;
}

int changes_put_member(struct changes_writer *w, const struct stat *st, const char *link,
		       bool is_hardlink, const struct buf *xattrs)
{
	bool is_later = st->st_mtim.tv_sec >= w->p->mtime;
	struct tar_member m = {
	    .name = w->path.len > 0 ? w->path.data : ".",
	    .link = link,
	    .type = is_hardlink ? TAR_HARDLINK : tar_type(st->st_mode),
	    .mode = st->st_mode,
	    .uid = st->st_uid,
	    .gid = st->st_gid,
	    .size = (uint64_t)st->st_size,
	    .mtime = is_later ? w->p->mtime : st->st_mtim.tv_sec,
	    .nsec = is_later ? 0 : (uint32_t)st->st_mtim.tv_nsec,
	    .major = major(st->st_rdev),
	    .minor = minor(st->st_rdev),
	    .records = xattrs,
	};

	buf_clear(&w->header);
	tar_header(&w->header, &m);
	return put(w, w->header.data, w->header.len);
}

int changes_end(struct changes_writer *w)
{
	if (put(w, NULL, tar_end(w->at + w->len, TAR_RECORD)) < 0)
		return -1;
	return flush(w);
}

void changes_release(struct changes_writer *w)
{
	free(w->block);
	buf_release(&w->header);
}
