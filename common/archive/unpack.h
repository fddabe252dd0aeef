/*
 * unpack: read untrusted archives safely.
 *
 * Archives are parsed by libarchive. The module adds limits on sizes and checks what
 * libarchive ignores. There are two ways to read an archive:
 *
 * - A *stream* reads a tar once, member by member, and passes contents on without copying
 *   them. Layer archives of dt-image(5) and layers are read as streams.
 * - An *index* records where each member of an archive file is. Images of other programs
 *   are read with an index, because they may be compressed, out of order and full of
 *   links.
 *
 *	struct unpack_stream *s = unpack_stream_new(STDIN_FILENO, "stdin");
 *	while ((result = unpack_next(s, &m, &e)) > 0)
 *		if (m.is_file)
 *			unpack_copy(s, out, NULL, &e);
 *	unpack_stream_release(s);
 *
 * Functions that fail return -1 or NULL and store the reason in `e`.
 */
#ifndef DT_UNPACK_H
#define DT_UNPACK_H

#include "base/buf.h"
#include "base/strset.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct digest;
struct io_watch;

/* A member of a stream. Valid until the next call of unpack_next(). */
struct unpack_member {
	const char *name;
	uint64_t size;       /* size of its contents in bytes */
	bool is_file;        /* a regular file; callers ignore other members */
	const char *records; /* its pax records as the archive contains them */
	size_t records_len;
};

struct unpack_stream;

/*
 * Returns a stream that reads an uncompressed tar from `fd`; the caller releases it.
 * `what` names the tar in messages and is kept. Several archives may follow each other.
 */
struct unpack_stream *unpack_stream_new(int fd, const char *what);
void unpack_stream_release(struct unpack_stream *s);

/*
 * Sets a function that sees what the stream reads: headers, padding, skipped contents,
 * and the data after the members. Contents that unpack_copy() and unpack_read() deliver
 * are not passed to tee(). tee(arg, data, len, e) returns 0, or -1 with the reason in
 * `e`.
 */
void unpack_stream_tee(struct unpack_stream *s,
		       int (*tee)(void *arg, const void *data, size_t len, struct err *e),
		       void *arg);

/*
 * Goes to the next member and skips the rest of the previous member. Returns 1 for a
 * member, 0 at the end, or -1. A malformed pax record is an error, as it is for GNU tar
 * and Docker. A last archive without end-of-archive marker is an error, too.
 */
int unpack_next(struct unpack_stream *s, struct unpack_member *m, struct err *e);

/*
 * Writes the contents of the member to `out`, by splice(2) if possible. The holes of a
 * sparse file are written as zeros. `watch` is that of io_copy_seen(), or NULL. Returns 0
 * or -1.
 */
int unpack_copy(struct unpack_stream *s, int out, const struct io_watch *watch,
		struct err *e);

/*
 * Passes the contents of the member to see(arg, data, len, e), piece by piece; see()
 * returns 0, or -1 and a reason. A sparse file is an error. Returns 0 or -1.
 */
int unpack_pass(struct unpack_stream *s,
		int (*see)(void *arg, const void *data, size_t len, struct err *e),
		void *arg, struct err *e);

/* Appends the contents of the member, at most `limit` bytes. Returns 0 or -1. */
int unpack_read(struct unpack_stream *s, struct buf *out, size_t limit, struct err *e);

/*
 * Returns a stream of the layer tar in `size` bytes of `fd` from `offset`, which is read
 * with pread(2). Like every reader of layers, it ends at the first end-of-archive marker.
 * A layer may have no marker and no members.
 */
struct unpack_stream *unpack_layer_new(int fd, off_t offset, uint64_t size,
				       const char *what);

/*
 * Returns a stream of a complete archive of `size` bytes that is not a layer. Other
 * archives may follow in `fd`, and the last must end with its end-of-archive marker.
 */
struct unpack_stream *unpack_archive_new(int fd, uint64_t size, const char *what);

/* Makes a missing end-of-archive marker and a layer without members an error. */
void unpack_layer_demand_end(struct unpack_stream *s);

/* The metadata of a member of a layer. Valid until the next call of unpack_next(). */
struct unpack_attributes {
	uint32_t mode; /* st_mode; of a hard link, only `link` counts */
	bool is_hardlink;
	const char *link; /* target of a symlink or hard link, else NULL */
	uint64_t uid, gid;
	int64_t mtime; /* seconds since 1970 */
	uint32_t nsec; /* nanoseconds after `mtime` */
	uint32_t major, minor;
	struct buf xattrs; /* pax records SCHILY.xattr.NAME, sorted by name */
	off_t offset;      /* start of a file's contents; -1 if it is sparse and needs
			      unpack_expand() */
};

/*
 * Reads the metadata of the current member. `a` must be zeroed before the first call and
 * may be reused; the caller releases a->xattrs. Returns 0 or -1.
 */
int unpack_describe(struct unpack_stream *s, struct unpack_attributes *a, struct err *e);

/*
 * Writes the contents of a sparse member to the file `out` from offset `at`, which is not
 * before its end. Holes stay holes. Returns 0 or -1.
 */
int unpack_expand(struct unpack_stream *s, int out, off_t at, struct err *e);

/*
 * Finds the pax record `key` of the member. Returns false if it is missing. *value points
 * into the records.
 */
bool unpack_record(const struct unpack_member *m, const char *key, const char **value,
		   size_t *len);

/*
 * Checks the form of pax records. Each must be "LEN KEY=VALUE\n". Sizes, owners and times
 * must be numbers. Returns 0, or -1 with the reason in `e`.
 */
int unpack_check_records(const char *records, size_t len, struct err *e);

/*
 * Sets how many bytes this process may unpack in total. Both uncompressed contents and
 * sparse files with their holes count. The default is 256 GiB. The limit protects the
 * disk, because a few kilobytes of untrusted input can expand to terabytes.
 */
void unpack_limit(uint64_t bytes);

/*
 * Counts bytes before they are unpacked from `what`. Returns 0, or -1 if the total
 * exceeds the limit.
 */
int unpack_charge(uint64_t bytes, const char *what, struct err *e);

/*
 * Opens the archive `name` as an uncompressed regular file. The name "-" is standard
 * input. A compressed archive or a pipe is first copied to a temporary file without a
 * name. `what` describes the expected content for the message about an empty file.
 * Returns a descriptor or -1.
 */
int unpack_open(const char *name, const char *what, struct err *e);

/* Returns whether these bytes of a file are compressed, judged by their beginning. */
bool unpack_is_compressed(int fd, off_t offset, uint64_t size);

/* Uncompresses these bytes and writes them to `out`. Returns 0 or -1. */
int unpack_append(int fd, off_t offset, uint64_t size, int out, const char *what,
		  struct err *e);

/*
 * Uncompresses these bytes into a new temporary file. Returns its descriptor,
 * UNPACK_PLAIN if the bytes are not compressed, or -1.
 */
enum { UNPACK_PLAIN = -2 };
int unpack_span(int fd, off_t offset, uint64_t size, const char *what, struct err *e);

/* The place of a member in an indexed archive. */
struct unpack_place {
	off_t offset;
	uint64_t size;
	char *link; /* name of the member that the link leads to, or NULL */
	bool is_file;
	bool is_expanded; /* it was sparse and is stored in the spool */
};

struct unpack_index {
	int fd;            /* the uncompressed archive, or the directory */
	bool is_directory; /* the archive is a directory */
	int spool;         /* temporary file for sparse members, or -1 */
	/* Names of the members, without leading "./", "../" and slashes. */
	struct strset names;
	struct unpack_place *place; /* names.n places; the last member of a name counts */
	size_t cap;
};

/*
 * Reads the names of all members of the archive `file`; "-" is standard input. A
 * compressed archive, a sparse member or a pipe is first unpacked into a temporary file.
 *
 * A directory with an OCI image layout is read like an archive. Its members are
 * index.json, oci-layout and the files in blobs/sha256 whose name is a digest. Symlinks
 * in the directory are not followed and do not count as files.
 *
 * Returns 0 or -1. A zeroed struct is an empty index.
 */
int unpack_index_open(struct unpack_index *x, const char *file, struct err *e);
void unpack_index_release(struct unpack_index *x);

/*
 * Finds the member `name` and follows symlinks and hard links. Returns NULL with the
 * reason in `e` if it is missing, is not a file, or its links form a loop.
 */
const struct unpack_place *unpack_find(const struct unpack_index *x, const char *name,
				       struct err *e);

/*
 * Appends the contents of a member, at most `limit` bytes. Returns 0, or -1 if there are
 * more, or UNPACK_UNREADABLE if the system cannot read them.
 */
enum { UNPACK_UNREADABLE = -3 };
int unpack_get(const struct unpack_index *x, const struct unpack_place *p,
	       struct buf *out, size_t limit, struct err *e);

/*
 * Returns a descriptor of a member's contents, compressed or not, or -1. The contents
 * start at p->offset. The caller closes the descriptor if *is_own is true.
 */
int unpack_raw(const struct unpack_index *x, const struct unpack_place *p, bool *is_own,
	       struct err *e);

/*
 * Does the same for the uncompressed contents and sets their offset and size. If the
 * contents are compressed, the descriptor is a temporary file.
 */
int unpack_plain(const struct unpack_index *x, const struct unpack_place *p,
		 off_t *offset, uint64_t *size, bool *is_own, struct err *e);

/*
 * Uncompresses `size` bytes of `fd` from `offset`, in any supported format. Calls
 * write(arg, data, len, e) with each piece of the result. Only write() limits the amount
 * of output. Returns 0 or -1.
 */
int unpack_inflate(int fd, off_t offset, uint64_t size,
		   int (*write)(void *arg, const void *data, size_t len, struct err *e),
		   void *arg, const char *what, struct err *e);

#endif
