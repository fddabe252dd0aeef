#include "archive/mtree.h"

#include "archive/unpack.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <sys/stat.h>

struct mtree {
	struct archive *archive;
	struct buf *out;
};

static la_ssize_t take(struct archive *a, void *data, const void *text, size_t len)
{
	struct mtree *l = data;

	(void)a;
	buf_add(l->out, text, len);
	return (la_ssize_t)len;
}

static int failed(const struct mtree *l, struct err *e)
{
	const char *s = archive_error_string(l->archive);

	return err_set(e, "the mtree specification: %s",
		       s != NULL ? s : "cannot be written");
}

struct mtree *mtree_new(struct buf *out)
{
	struct mtree *l = mem_zero(1, sizeof *l);

	l->out = out;
	l->archive = archive_write_new();
	if (l->archive == NULL || archive_write_set_format_mtree(l->archive) < ARCHIVE_OK)
		die("out of memory");
	archive_write_set_options(l->archive, "mtree:sha256");
	archive_write_open(l->archive, l, NULL, take, NULL);
	return l;
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
	int result =
	    archive_write_header(l->archive, entry) == ARCHIVE_OK ? 0 : failed(l, e);
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
	int result = archive_write_close(l->archive) == ARCHIVE_OK ? 0 : failed(l, e);

	archive_write_free(l->archive);
	free(l);
	return result;
}
