/*
 * tar: write the headers of a tar in one canonical form.
 *
 * The digest of a layer is the digest of its tar, so equal files must give equal headers:
 *
 *	tar_header(&out, &(struct tar_member){.name = "etc/passwd", .type = TAR_FILE,
 *					      .mode = 0644, .size = size});
 *
 * The format is the pax interchange format of POSIX.1-2008, in the form that Python's
 * tarfile writes. nixpkgs' streamLayeredImage creates layers with tarfile. The form has
 * these rules:
 *
 * - Each member has a ustar header. If a value does not fit there, an extended header
 *   with the name "././@PaxHeader" precedes it.
 * - In the ustar header, a value that does not fit is truncated or zero, and a character
 *   outside ASCII is '?'.
 * - The ustar prefix field is not used.
 */
#ifndef DT_TAR_H
#define DT_TAR_H

#include <stddef.h>
#include <stdint.h>

struct buf;

enum {
	TAR_BLOCK = 512,
	TAR_RECORD = 10240, /* layers are padded to a multiple of this size */
};

enum tar_type {
	TAR_FILE = '0',
	TAR_HARDLINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHAR = '3',
	TAR_BLOCK_DEVICE = '4',
	TAR_DIRECTORY = '5',
	TAR_FIFO = '6',
};

/*
 * The program whose form is used. Go's archive/tar differs from Python's tarfile in two
 * ways.
 */
enum tar_dialect {
	TAR_PYTHON,
	TAR_GO, /* extended headers are DIR/PaxHeaders.0/BASE; device fields contain
		   digits */
};

/* Returns the type for an st_mode. The default is TAR_FILE. */
enum tar_type tar_type(uint32_t mode);

struct tar_member {
	const char *name; /* of a directory: the slash at the end is optional */
	const char *link; /* target of a hard link or symlink, else NULL */
	enum tar_type type;
	uint32_t mode; /* only the lowest 12 bits are used */
	uint64_t uid, gid;
	uint64_t size; /* of a file, in bytes */
	int64_t mtime; /* seconds since 1970, may be negative */
	uint32_t nsec; /* nanoseconds after `mtime` */
	const char *uname, *gname;
	uint32_t major, minor;     /* of a device */
	const struct buf *records; /* additional pax records from tar_record(), or NULL */
	enum tar_dialect dialect;
};

/* Appends the headers of the member, which are a multiple of TAR_BLOCK bytes. */
void tar_header(struct buf *out, const struct tar_member *m);

/* Appends the pax record "LEN KEY=VALUE\n". */
void tar_record(struct buf *records, const char *key, const char *value, size_t len);

/*
 * Appends the record of an extended attribute with a name such as "user.x"; see xattrs.
 */
void tar_xattr(struct buf *records, const char *name, const char *value, size_t len);

/*
 * Returns the number of zero bytes after `size` bytes of contents, which fill the last
 * block.
 */
size_t tar_padding(uint64_t size);

/*
 * Returns the number of zero bytes at the end of an archive that has `size` bytes so far.
 * These are the two blocks of the end-of-archive marker and the padding to a multiple of
 * `record` bytes.
 */
size_t tar_end(uint64_t size, size_t record);

#endif
