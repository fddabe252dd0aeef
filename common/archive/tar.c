#include "archive/tar.h"

#include "archive/xattrs.h"
#include "base/buf.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* POSIX.1-2008, pax, "ustar Interchange Format" */
struct ustar_header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
	char link[100], magic[6], version[2], uname[32], gname[32], major[8], minor[8];
	char prefix[155], unused[12];
};
_Static_assert(sizeof(struct ustar_header) == TAR_BLOCK, "a header is one block");

enum tar_type tar_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return TAR_DIRECTORY;
	case S_IFLNK:
		return TAR_SYMLINK;
	case S_IFCHR:
		return TAR_CHAR;
	case S_IFBLK:
		return TAR_BLOCK_DEVICE;
	case S_IFIFO:
		return TAR_FIFO;
	default:
		return TAR_FILE;
	}
}

static bool is_ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

/* Writes the value in ASCII, truncated to the field. Each other character becomes '?'. */
static void put_text(char *field, size_t size, const char *s)
{
	for (size_t i = 0; i < size && *s != '\0'; i++)
		field[i] = utf8_next(&s) < 0x80 ? s[-1] : '?';
}

/* Writes octal digits that fill the field, with a NUL at the end. */
static void put_octal(char *field, size_t size, uint64_t value)
{
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
	field[size - 1] = '\0';
}

static bool fits(uint64_t value, size_t field_size)
{
	return value >> (3 * (field_size - 1)) == 0;
}

static void put_checksum(struct ustar_header *h)
{
	unsigned sum = 0;

	memset(h->checksum, ' ', sizeof h->checksum);
	for (size_t i = 0; i < sizeof *h; i++)
		sum += ((const unsigned char *)h)[i];
	put_octal(h->checksum, sizeof h->checksum - 1, sum);
}

void tar_record(struct buf *records, const char *key, const char *value, size_t len)
{
	size_t rest = strlen(key) + len + 3, total = rest + 1;

	/* The length includes its own digits. */
	for (size_t power = 10; total >= power; power *= 10)
		total++;
	buf_addf(records, "%zu ", total);
	buf_addstr(records, key);
	buf_addch(records, '=');
	buf_add(records, value, len);
	buf_addch(records, '\n');
}

void tar_xattr(struct buf *records, const char *name, const char *value, size_t len)
{
	struct buf key = {0};

	buf_addf(&key, XATTRS_KEY "%s", name);
	tar_record(records, key.data, value, len);
	buf_release(&key);
}

static void text_record(struct buf *records, const char *key, const char *value,
			size_t max)
{
	size_t len = strlen(value);

	if (len > max || !is_ascii(value))
		tar_record(records, key, value, len);
}

static void number_record(struct buf *records, const char *key, int64_t value)
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%" PRId64, value);

	tar_record(records, key, digits, (size_t)len);
}

/* Adds the time with as few digits as possible. "-0.5" is half a second before 1970. */
static void time_record(struct buf *records, int64_t seconds, uint32_t nsec)
{
	uint64_t whole = seconds < 0 ? -(uint64_t)seconds : (uint64_t)seconds;
	char digits[40];

	if (seconds < 0 && nsec > 0) {
		whole--;
		nsec = 1000000000 - nsec;
	}
	int len = snprintf(digits, sizeof digits, "%s%" PRIu64 ".%09u",
			   seconds < 0 ? "-" : "", whole, nsec);
	while (digits[len - 1] == '0')
		len--;
	if (digits[len - 1] == '.')
		len--;
	tar_record(records, "mtime", digits, (size_t)len);
}

static void add_header(struct buf *out, struct ustar_header *h)
{
	memcpy(h->magic, "ustar", sizeof h->magic);
	memcpy(h->version, "00", sizeof h->version);
	put_checksum(h);
	buf_add(out, h, sizeof *h);
}

/* Sets the name of the extended header of `m`. */
static void put_extended_name(struct ustar_header *h, const struct tar_member *m)
{
	const char *slash = strrchr(m->name, '/');
	size_t dir = slash != NULL ? (size_t)(slash + 1 - m->name) : 0;
	struct buf name = {0};

	if (m->dialect == TAR_PYTHON)
		buf_addstr(&name, "././@PaxHeader");
	else
		buf_addf(&name, "%.*sPaxHeaders.0/%s", (int)dir, m->name, m->name + dir);
	put_text(h->name, sizeof h->name, name.data);
	buf_release(&name);
}

/* Appends the extended header with `records`. */
static void add_extended(struct buf *out, const struct tar_member *m,
			 const struct buf *records, bool is_binary)
{
	static const char zeroes[TAR_BLOCK], binary[] = "21 hdrcharset=BINARY\n";
	size_t len = records->len + (is_binary ? sizeof binary - 1 : 0);
	struct ustar_header h = {.type = 'x'};

	put_extended_name(&h, m);
	put_octal(h.mode, sizeof h.mode, 0);
	put_octal(h.uid, sizeof h.uid, 0);
	put_octal(h.gid, sizeof h.gid, 0);
	put_octal(h.size, sizeof h.size, len);
	put_octal(h.mtime, sizeof h.mtime, 0);
	add_header(out, &h);
	if (is_binary)
		buf_add(out, binary, sizeof binary - 1);
	buf_add(out, records->data, records->len);
	buf_add(out, zeroes, tar_padding(len));
}

void tar_header(struct buf *out, const struct tar_member *m)
{
	const char *link = m->link != NULL ? m->link : "";
	const char *uname = m->uname != NULL ? m->uname : "";
	const char *gname = m->gname != NULL ? m->gname : "";
	uint64_t size = m->type == TAR_FILE ? m->size : 0;
	uint64_t mtime = m->mtime < 0 ? UINT64_MAX : (uint64_t)m->mtime;
	struct ustar_header h = {.type = (char)m->type};
	struct buf directory = {0}, records = {0};
	const char *name = m->name;
	size_t len = strlen(name);

	if (m->type == TAR_DIRECTORY && (len == 0 || name[len - 1] != '/')) {
		buf_add(&directory, name, len);
		buf_addch(&directory, '/');
		name = directory.data;
	}
	text_record(&records, "path", name, sizeof h.name);
	text_record(&records, "linkpath", link, sizeof h.link);
	text_record(&records, "uname", uname, sizeof h.uname);
	text_record(&records, "gname", gname, sizeof h.gname);
	if (!fits(m->uid, sizeof h.uid))
		number_record(&records, "uid", (int64_t)m->uid);
	if (!fits(m->gid, sizeof h.gid))
		number_record(&records, "gid", (int64_t)m->gid);
	if (!fits(size, sizeof h.size))
		number_record(&records, "size", (int64_t)size);
	if (!fits(mtime, sizeof h.mtime) || m->nsec > 0)
		time_record(&records, m->mtime, m->nsec);
	if (m->records != NULL)
		buf_add(&records, m->records->data, m->records->len);
	if (records.len > 0)
		add_extended(out, m, &records, !utf8_is_valid(records.data, records.len));

	put_text(h.name, sizeof h.name, name);
	put_octal(h.mode, sizeof h.mode, m->mode & 07777);
	put_octal(h.uid, sizeof h.uid, fits(m->uid, sizeof h.uid) ? m->uid : 0);
	put_octal(h.gid, sizeof h.gid, fits(m->gid, sizeof h.gid) ? m->gid : 0);
	put_octal(h.size, sizeof h.size, fits(size, sizeof h.size) ? size : 0);
	put_octal(h.mtime, sizeof h.mtime, fits(mtime, sizeof h.mtime) ? mtime : 0);
	put_text(h.link, sizeof h.link, link);
	put_text(h.uname, sizeof h.uname, uname);
	put_text(h.gname, sizeof h.gname, gname);
	if (m->type == TAR_CHAR || m->type == TAR_BLOCK_DEVICE || m->dialect == TAR_GO) {
		put_octal(h.major, sizeof h.major, m->major);
		put_octal(h.minor, sizeof h.minor, m->minor);
	}
	add_header(out, &h);
	buf_release(&directory);
	buf_release(&records);
}

size_t tar_padding(uint64_t size)
{
	return (size_t)(-size & (TAR_BLOCK - 1));
}

size_t tar_end(uint64_t size, size_t record)
{
	size_t over = (size_t)((size + 2 * TAR_BLOCK) % record);

	return 2 * TAR_BLOCK + (over != 0 ? record - over : 0);
}
