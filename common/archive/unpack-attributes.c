#include "archive/unpack.h"

#include "archive/tar.h"
#include "archive/unpack-private.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/num.h"

#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
	const char *header = unpack_own_header(s);
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
