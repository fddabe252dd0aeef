/*
 * tar: the canonical writer of tar headers.
 *
 * POSIX.1-2008 pax interchange format, spelled as Python's tarfile spells it, since
 * that is what the layers of nixpkgs' streamer are made of: a ustar header; before it,
 * only where a value does not fit, an extended header named "././@PaxHeader"; the
 * ustar prefix field is never used; values that do not fit are truncated or zeroed in
 * the ustar header, and characters outside of ASCII are '?' there.
 */
#ifndef DT_TAR_H
#define DT_TAR_H

#include <stddef.h>
#include <stdint.h>

struct buf;

enum {
	TAR_BLOCK = 512,
	TAR_RECORD = 10240, /* layers are padded to a multiple of this */
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

/* Whose spelling; see above. Go's archive/tar differs from Python's in two ways. */
enum tar_dialect {
	TAR_PYTHON,
	TAR_GO, /* extended headers are DIR/PaxHeaders.0/BASE; device numbers are digits
		 */
};

/* The type of what has this st_mode; what is nothing else is a file. */
enum tar_type tar_type(uint32_t mode);

struct tar_member {
	const char *name; /* directories: with or without the slash at the end */
	const char *link; /* target of a link, else NULL */
	enum tar_type type;
	uint32_t mode; /* permission bits; others are left out */
	uint64_t uid, gid;
	uint64_t size; /* of a file, in bytes */
	int64_t mtime; /* seconds since 1970, may be negative, and */
	uint32_t nsec; /* nanoseconds after that */
	const char *uname, *gname;
	uint32_t major, minor;     /* of a device */
	const struct buf *records; /* more pax records, from tar_record(), or NULL */
	enum tar_dialect dialect;
};

/* Appends the member's headers, a multiple of TAR_BLOCK bytes. */
void tar_header(struct buf *out, const struct tar_member *m);

/* Appends the pax record "LEN KEY=VALUE\n". */
void tar_record(struct buf *records, const char *key, const char *value, size_t len);

/* The record of an extended attribute of this name, such as "user.x"; see xattrs. */
void tar_xattr(struct buf *records, const char *name, const char *value, size_t len);

/* How many zero bytes follow `size` bytes of contents, to fill the last block. */
size_t tar_padding(uint64_t size);

/*
 * How many zero bytes end an archive of `size` bytes so far: the two blocks of the
 * end-of-archive mark, and what fills up the last record of `record` bytes.
 */
size_t tar_end(uint64_t size, size_t record);

#endif
