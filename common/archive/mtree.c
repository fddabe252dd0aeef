#include "archive/mtree.h"

#include "archive/unpack.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/*
 * libarchive holds all entries until its writer is closed. So each writer gets only this
 * many, and the first line of all writers but the first is removed.
 */
enum { ENTRIES_MAX = 1024, FIRST_LINE = sizeof "#mtree\n" - 1 };

struct mtree {
	int fd;
	struct archive *archive;
	size_t n_entries; /* of this writer */
	size_t skip;      /* bytes that are still to be removed */
};

static la_ssize_t take(struct archive *a, void *data, const void *text, size_t len)
{
	struct mtree *l = data;
	size_t skip = l->skip < len ? l->skip : len;

	l->skip -= skip;
	if (io_write(l->fd, (const char *)text + skip, len - skip) == 0)
		return (la_ssize_t)len;
	archive_set_error(a, errno, "%s", strerror(errno));
	return -1;
}

static int failed(const struct mtree *l, struct err *e)
{
	const char *s = archive_error_string(l->archive);

	return err_set(e, "the mtree specification: %s",
		       s != NULL ? s : "cannot be written");
}

static void begin_writer(struct mtree *l)
{
	l->archive = archive_write_new();
	if (l->archive == NULL || archive_write_set_format_mtree(l->archive) < ARCHIVE_OK)
		die("out of memory");
	archive_write_set_options(l->archive, "mtree:sha256");
	archive_write_open(l->archive, l, NULL, take, NULL);
	l->n_entries = 0;
}

static int end_writer(struct mtree *l, struct err *e)
{
	int result = archive_write_close(l->archive) == ARCHIVE_OK ? 0 : failed(l, e);

	archive_write_free(l->archive);
	return result;
}

struct mtree *mtree_new(int fd)
{
	struct mtree *l = mem_zero(1, sizeof *l);

	l->fd = fd;
	begin_writer(l);
	return l;
}

static int add_entry(struct mtree *l, struct archive_entry *entry, struct err *e)
{
	if (l->n_entries == ENTRIES_MAX) {
		int result = end_writer(l, e);
		l->skip = FIRST_LINE;
		begin_writer(l);
		if (result < 0)
			return -1;
	}
	l->n_entries++;
	return archive_write_header(l->archive, entry) == ARCHIVE_OK ? 0 : failed(l, e);
}

int mtree_add(struct mtree *l, const char *path, const struct unpack_attributes *a,
	      uint64_t size, uint32_t names, struct err *e)
{
	struct archive_entry *entry = archive_entry_new();
	struct buf dotted = {0};

	if (entry == NULL)
		die("out of memory");
	buf_addf(&dotted, path[0] != '\0' ? "./%s" : ".", path);
	archive_entry_copy_pathname(entry, dotted.data);
	archive_entry_set_mode(entry, a->mode);
	archive_entry_set_uid(entry, (la_int64_t)a->uid);
	archive_entry_set_gid(entry, (la_int64_t)a->gid);
	archive_entry_set_mtime(entry, a->mtime, (long)a->nsec);
	archive_entry_set_nlink(entry, names);
	if (S_ISREG(a->mode))
		archive_entry_set_size(entry, (la_int64_t)size);
	if (S_ISLNK(a->mode))
		archive_entry_copy_symlink(entry, a->link);
	if (S_ISCHR(a->mode) || S_ISBLK(a->mode)) {
		archive_entry_set_rdevmajor(entry, a->major);
		archive_entry_set_rdevminor(entry, a->minor);
	}
	int result = add_entry(l, entry, e);
	archive_entry_free(entry);
	buf_release(&dotted);
	return result;
}

int mtree_data(struct mtree *l, const void *data, size_t len, struct err *e)
{
	return archive_write_data(l->archive, data, len) == (la_ssize_t)len
		   ? 0
		   : failed(l, e);
}

int mtree_end(struct mtree *l, struct err *e)
{
	int result = end_writer(l, e);

	free(l);
	return result;
}
