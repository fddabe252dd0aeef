#include "archive/tar.h"

#include "base/buf.h"

#include "tap.h"

#include <stdint.h>
#include <sys/stat.h>

/*
 * The fields of a ustar header, at the offsets of POSIX.1-2008. `at` is where the header
 * starts in the bytes.
 */
static void field(const struct buf *b, size_t at, size_t offset, const char *want,
		  size_t len, const char *what)
{
	tap_ok(b->len >= at + offset + len &&
		   memcmp(b->data + at + offset, want, len) == 0,
	       what);
}

#define FIELD(b, at, offset, want, what) \
	field(b, at, offset, want, sizeof(want) - 1, what)

static bool is_zero(const struct buf *b, size_t from, size_t to)
{
	if (to > b->len)
		return false;
	for (; from < to; from++)
		if (b->data[from] != '\0')
			return false;
	return true;
}

/* The sum of the header's bytes with blanks in the checksum's field, at 148 to 155. */
static void has_checksum(const struct buf *b, size_t at, const char *what)
{
	unsigned sum = 8 * ' ';
	char digits[9];

	if (!tap_ok(b->len >= at + TAR_BLOCK, what))
		return;
	for (size_t i = 0; i < TAR_BLOCK; i++)
		if (i < 148 || i >= 156)
			sum += (unsigned char)b->data[at + i];
	snprintf(digits, sizeof digits, "%06o", sum);
	digits[7] = ' '; /* after the NUL */
	field(b, at, 148, digits, 8, "its checksum");
}

static void begin(struct buf *b, const struct tar_member *m)
{
	buf_clear(b);
	tar_header(b, m);
}

/* The member has the extended header `records`, and one more header. */
static void extends(const struct tar_member *m, const char *records, const char *what)
{
	struct buf b = {0};
	char size[13];
	size_t len = strlen(records), blocks = (len + TAR_BLOCK - 1) / TAR_BLOCK;

	begin(&b, m);
	if (len == 0) {
		tap_int((long long)b.len, TAR_BLOCK, what);
		has_checksum(&b, 0, "one header");
		buf_release(&b);
		return;
	}
	if (tap_int((long long)b.len, (long long)(2 + blocks) * TAR_BLOCK, what),
	    b.len == (2 + blocks) * TAR_BLOCK) {
		snprintf(size, sizeof size, "%011o", (unsigned)len);
		FIELD(&b, 0, 156, "x", "an extended header");
		field(&b, 0, 124, size, 12, "its size");
		has_checksum(&b, 0, "an extended header");
		field(&b, TAR_BLOCK, 0, records, len, what);
		tap_ok(is_zero(&b, TAR_BLOCK + len, (1 + blocks) * TAR_BLOCK),
		       "the rest of the block is zero");
		has_checksum(&b, (1 + blocks) * TAR_BLOCK, "the header of the member");
	}
	buf_release(&b);
}

static void test_plain(void)
{
	struct buf b = {0};

	begin(&b, &(struct tar_member){.name = "a/b",
				       .type = TAR_FILE,
				       .mode = S_IFREG | 04755,
				       .uid = 8,
				       .gid = 511,
				       .size = 1000,
				       .mtime = 1,
				       .uname = "root",
				       .gname = "nixbld"});
	tap_int((long long)b.len, 512, "a member is one block");
	FIELD(&b, 0, 0, "a/b", "its name");
	tap_ok(is_zero(&b, 3, 100), "is filled with NUL");
	FIELD(&b, 0, 100, "0004755\0", "its mode without the type");
	FIELD(&b, 0, 108, "0000010\0", "its uid");
	FIELD(&b, 0, 116, "0000777\0", "its gid");
	FIELD(&b, 0, 124, "00000001750\0", "its size");
	FIELD(&b, 0, 136, "00000000001\0", "its time");
	FIELD(&b, 0, 156, "0", "its type");
	tap_ok(is_zero(&b, 157, 257), "no link");
	FIELD(&b, 0, 257,
	      "ustar\0"
	      "00",
	      "the magic and the version");
	FIELD(&b, 0, 265, "root\0", "its user");
	FIELD(&b, 0, 297, "nixbld\0", "its group");
	tap_ok(is_zero(&b, 329, 512), "no device, and no prefix");
	has_checksum(&b, 0, "a header");

	/*
	 * 'a' 97, and the digits: mode 7 * 48, uid and gid 14 * 48, size and mtime 22 *
	 * 48, type 48, "ustar" 559, "00" 96, and 8 blanks.
	 * 97 + 336 + 672 + 1056 + 48 + 559 + 96 + 256 = 3120 = 06060.
	 */
	begin(&b, &(struct tar_member){.name = "a", .type = TAR_FILE});
	FIELD(&b, 0, 148, "006060\0 ", "the checksum, computed by hand");

	begin(&b, &(struct tar_member){.name = "d", .type = TAR_DIRECTORY, .size = 9});
	FIELD(&b, 0, 0, "d/\0", "a directory's name ends in a slash");
	FIELD(&b, 0, 124, "00000000000\0", "it has no size");
	FIELD(&b, 0, 156, "5", "its type");
	begin(&b, &(struct tar_member){.name = "d/", .type = TAR_DIRECTORY});
	FIELD(&b, 0, 0, "d/\0", "it does not get a second slash");
	begin(&b, &(struct tar_member){
		      .name = "l", .type = TAR_SYMLINK, .link = "to", .size = 2});
	FIELD(&b, 0, 157, "to\0", "a symlink has its target");
	FIELD(&b, 0, 124, "00000000000\0", "and no size");
	FIELD(&b, 0, 156, "2", "its type");
	begin(&b, &(struct tar_member){
		      .name = "h", .type = TAR_HARDLINK, .link = "to", .size = 2});
	FIELD(&b, 0, 157, "to\0", "a hard link has its target");
	FIELD(&b, 0, 124, "00000000000\0", "and no size");
	FIELD(&b, 0, 156, "1", "its type");
	begin(&b, &(struct tar_member){
		      .name = "c", .type = TAR_CHAR, .major = 1, .minor = 9});
	FIELD(&b, 0, 329,
	      "0000001\0"
	      "0000011\0",
	      "a device has its numbers");
	begin(&b, &(struct tar_member){.name = "f", .type = TAR_FILE, .dialect = TAR_GO});
	FIELD(&b, 0, 329,
	      "0000000\0"
	      "0000000\0",
	      "in Go's form, all have them");
	buf_release(&b);

	tap_int(tar_type(S_IFREG | 0644), '0', "the type of a file");
	tap_int(tar_type(S_IFLNK | 0777), '2', "of a symlink");
	tap_int(tar_type(S_IFCHR), '3', "of a character device");
	tap_int(tar_type(S_IFBLK), '4', "of a block device");
	tap_int(tar_type(S_IFDIR), '5', "of a directory");
	tap_int(tar_type(S_IFIFO), '6', "of a FIFO");
	tap_int(tar_type(0644), '0', "without a type, of a file");
}

/* Writes `prefix`, `n` times 'x', and `suffix`. */
static void repeat(char *out, const char *prefix, size_t n, const char *suffix)
{
	size_t len = strlen(prefix);

	memcpy(out, prefix, len);
	memset(out + len, 'x', n);
	memcpy(out + len + n, suffix, strlen(suffix) + 1);
}

static void test_names(void)
{
	struct buf b = {0};
	char name[700], records[800];

	repeat(name, "", 99, "");
	extends(&(struct tar_member){.name = name, .type = TAR_FILE}, "",
		"99 bytes of a name fit");
	begin(&b, &(struct tar_member){.name = name, .type = TAR_FILE});
	field(&b, 0, 0, name, 100, "with a NUL");
	repeat(name, "", 100, "");
	extends(&(struct tar_member){.name = name, .type = TAR_FILE}, "",
		"100 bytes of a name fit");
	begin(&b, &(struct tar_member){.name = name, .type = TAR_FILE});
	field(&b, 0, 0, name, 100, "without a NUL");
	FIELD(&b, 0, 100, "0000000\0", "the mode follows");
	repeat(name, "", 101, "");
	/* "111 path=" are 9 bytes, and a newline. */
	repeat(records, "111 path=", 101, "\n");
	extends(&(struct tar_member){.name = name, .type = TAR_FILE}, records,
		"101 bytes of a name do not");
	begin(&b, &(struct tar_member){.name = name, .type = TAR_FILE});
	field(&b, 1024, 0, name, 100, "the first 100 bytes are in the header");
	FIELD(&b, 1024, 100, "0000000\0", "the mode follows");
	tap_ok(is_zero(&b, 1024 + 345, 1024 + 512), "the prefix is not used");
	FIELD(&b, 0, 0, "././@PaxHeader\0", "the name of the extended header");
	FIELD(&b, 0, 100, "0000000\0", "its mode");
	FIELD(&b, 0, 108, "0000000\0", "its uid");
	FIELD(&b, 0, 116, "0000000\0", "its gid");
	FIELD(&b, 0, 136, "00000000000\0", "its time");
	tap_ok(is_zero(&b, 157, 257) && is_zero(&b, 265, 512), "nothing else");

	repeat(name, "", 99, "");
	extends(&(struct tar_member){.name = name, .type = TAR_DIRECTORY}, "",
		"a directory's name of 99 bytes fits with its slash");
	repeat(name, "", 100, "");
	repeat(records, "111 path=", 100, "/\n");
	extends(&(struct tar_member){.name = name, .type = TAR_DIRECTORY}, records,
		"a directory's name of 100 bytes does not");

	/* 5 + 496 + 10 = 511 and 512 bytes of records, and one more block. */
	repeat(name, "", 502, "");
	repeat(records, "512 path=", 502, "\n");
	extends(&(struct tar_member){.name = name, .type = TAR_FILE}, records,
		"512 bytes of records fill a block");
	repeat(name, "", 503, "");
	repeat(records, "513 path=", 503, "\n");
	extends(&(struct tar_member){.name = name, .type = TAR_FILE}, records,
		"513 bytes take a second one");

	snprintf(name, sizeof name, "d/f\xc3\xa9");
	extends(&(struct tar_member){.name = name, .type = TAR_FILE},
		"14 path=d/f\xc3\xa9\n", "a name that is not ASCII");
	begin(&b, &(struct tar_member){.name = name, .type = TAR_FILE});
	FIELD(&b, 1024, 0, "d/f?\0", "a '?' for the character");
	begin(&b,
	      &(struct tar_member){.name = name, .type = TAR_FILE, .dialect = TAR_GO});
	FIELD(&b, 0, 0, "d/PaxHeaders.0/f?\0", "the extended header's name in Go's form");
	extends(&(struct tar_member){.name = "a\xff", .type = TAR_FILE},
		"21 hdrcharset=BINARY\n11 path=a\xff\n", "a name that is not UTF-8");
	buf_release(&b);
}

static void test_links(void)
{
	struct buf b = {0};
	char link[200], records[300];

	repeat(link, "", 100, "");
	extends(&(struct tar_member){.name = "l", .type = TAR_SYMLINK, .link = link}, "",
		"100 bytes of a target fit");
	repeat(link, "/", 100, "");
	repeat(records, "115 linkpath=/", 100, "\n");
	extends(&(struct tar_member){.name = "l", .type = TAR_SYMLINK, .link = link},
		records, "101 bytes of a target do not");
	begin(&b, &(struct tar_member){.name = "l", .type = TAR_HARDLINK, .link = link});
	field(&b, TAR_BLOCK, 0, records, 115, "nor of a hard link's");
	field(&b, 1024, 157, link, 100, "the first 100 bytes are in the header");
	FIELD(&b, 1024, 257, "ustar\0", "the magic follows");
	extends(&(struct tar_member){.name = "l",
				     .type = TAR_SYMLINK,
				     .link = "\xe2\x82\xac"},
		"16 linkpath=\xe2\x82\xac\n", "a target that is not ASCII");
	buf_release(&b);
}

static void test_numbers(void)
{
	struct buf b = {0};
	const uint64_t gib = (uint64_t)1 << 30;
	struct tar_member m = {.name = "f", .type = TAR_FILE};

	m.size = 8 * gib - 1;
	extends(&m, "", "a size below 8 GiB fits");
	begin(&b, &m);
	FIELD(&b, 0, 124, "77777777777\0", "in 11 digits");
	m.size = 8 * gib;
	extends(&m, "19 size=8589934592\n", "a size of 8 GiB does not");
	begin(&b, &m);
	FIELD(&b, 1024, 124, "00000000000\0", "the header has 0");
	m.type = TAR_SYMLINK;
	m.link = "t";
	extends(&m, "", "the size of a symlink does not count");

	m = (struct tar_member){.name = "f", .type = TAR_FILE, .uid = 2097151};
	extends(&m, "", "a uid below 2^21 fits");
	begin(&b, &m);
	FIELD(&b, 0, 108, "7777777\0", "in 7 digits");
	m.uid = 2097152;
	m.gid = 4294967294;
	extends(&m, "15 uid=2097152\n18 gid=4294967294\n", "larger ones do not");
	begin(&b, &m);
	FIELD(&b, 1024, 108, "0000000\0", "the header has uid 0");
	FIELD(&b, 1024, 116, "0000000\0", "and gid 0");

	m = (struct tar_member){.name = "f", .type = TAR_FILE, .mtime = 8589934591};
	extends(&m, "", "a time before 2242 fits");
	m.mtime = 8589934592;
	extends(&m, "20 mtime=8589934592\n", "a later one does not");
	m.mtime = 5;
	m.nsec = 500000000;
	extends(&m, "13 mtime=5.5\n", "half a second");
	begin(&b, &m);
	FIELD(&b, 1024, 136, "00000000005\0", "the header has complete seconds");
	m.nsec = 1;
	extends(&m, "21 mtime=5.000000001\n", "a nanosecond");
	m.mtime = -1;
	m.nsec = 0;
	extends(&m, "12 mtime=-1\n", "a second before 1970");
	begin(&b, &m);
	FIELD(&b, 1024, 136, "00000000000\0", "the header has 0");
	m.nsec = 500000000;
	extends(&m, "14 mtime=-0.5\n", "half a second before 1970");
	m.mtime = -2;
	m.nsec = 250000000;
	extends(&m, "15 mtime=-1.75\n", "the nanoseconds count forwards");
	m.mtime = -10;
	m.nsec = 0;
	extends(&m, "13 mtime=-10\n", "zeros of complete seconds stay");
	m.mtime = INT64_MIN;
	extends(&m, "30 mtime=-9223372036854775808\n", "the earliest time");

	m = (struct tar_member){.name = "f", .type = TAR_FILE};
	m.uname = "a234567890123456789012345678901"
		  "2";
	extends(&m, "", "a user's name of 32 bytes fits");
	m.gname = "a234567890123456789012345678901"
		  "23";
	extends(&m, "43 gname=a23456789012345678901234567890123\n", "of 33 does not");
	buf_release(&b);
}

static void is_record(const char *key, size_t len, const char *want_start,
		      const char *what)
{
	struct buf b = {0};
	char *value = malloc(len + 1);

	memset(value, 'v', len);
	tar_record(&b, key, value, len);
	size_t start = strlen(want_start);
	tap_ok(b.len == start + len + 1 && memcmp(b.data, want_start, start) == 0 &&
		   memcmp(b.data + start, value, len) == 0 && b.data[b.len - 1] == '\n',
	       what);
	tap_int(strtol(want_start, NULL, 10), (long long)b.len, "the length is its own");
	free(value);
	buf_release(&b);
}

/* LEN counts its own digits, " ", "k=", the value, and the newline. */
static void test_records(void)
{
	struct buf b = {0};

	is_record("k", 0, "5 k=", "a record of 5 bytes");
	is_record("k", 4, "9 k=", "of 9 bytes");
	is_record("k", 5, "11 k=", "of 11; none has 10");
	is_record("k", 6, "12 k=", "of 12 bytes");
	is_record("k", 92, "98 k=", "of 98 bytes");
	is_record("k", 93, "99 k=", "of 99 bytes");
	is_record("k", 94, "101 k=", "of 101; none has 100");
	is_record("k", 95, "102 k=", "of 102 bytes");
	is_record("k", 992, "999 k=", "of 999 bytes");
	is_record("k", 993, "1001 k=", "of 1001; none has 1000");
	is_record("k", 9991, "9999 k=", "of 9999 bytes");
	is_record("k", 9992, "10001 k=", "of 10001; none has 10000");
	is_record("path", 90, "99 path=", "a longer key");

	tar_record(&b, "k", "a\0\n=", 4);
	tap_ok(b.len == 9 && memcmp(b.data, "9 k=a\0\n=\n", 9) == 0, "any bytes");
	tar_xattr(&b, "user.x", "1", 1);
	tap_ok(b.len == 9 + 25 &&
		   memcmp(b.data + 9, "25 SCHILY.xattr.user.x=1\n", 25) == 0,
	       "an attribute follows");
	buf_release(&b);

	tar_record(&b, "comment", "hi", 2);
	extends(&(struct tar_member){.name = "f", .type = TAR_FILE, .records = &b},
		"14 comment=hi\n", "records of the caller");
	extends(&(struct tar_member){.name = "\xc3\xa9", .type = TAR_FILE, .records = &b},
		"11 path=\xc3\xa9\n14 comment=hi\n", "follow those of the member");
	buf_clear(&b);
	extends(&(struct tar_member){.name = "f", .type = TAR_FILE, .records = &b}, "",
		"empty records need no extended header");
	buf_release(&b);
}

static void test_padding(void)
{
	tap_int((long long)tar_padding(0), 0, "nothing needs no padding");
	tap_int((long long)tar_padding(1), 511, "a byte needs a block");
	tap_int((long long)tar_padding(511), 1, "one byte is missing");
	tap_int((long long)tar_padding(512), 0, "a block is full");
	tap_int((long long)tar_padding(513), 511, "a second one");
	tap_int((long long)tar_padding(((uint64_t)1 << 33) + 5), 507, "beyond 8 GiB");

	tap_int((long long)tar_end(0, TAR_RECORD), 10240, "an empty layer is one record");
	tap_int((long long)tar_end(512, TAR_RECORD), 9728, "the record is filled");
	tap_int((long long)tar_end(9216, TAR_RECORD), 1024, "two blocks fill it");
	tap_int((long long)tar_end(9728, TAR_RECORD), 10752, "one block is not enough");
	tap_int((long long)tar_end(10240, TAR_RECORD), 10240, "a full record");
	tap_int((long long)tar_end(512, TAR_BLOCK), 1024, "records of a block");
}

int main(void)
{
	test_plain();
	test_names();
	test_links();
	test_numbers();
	test_records();
	test_padding();
	return tap_done();
}
