/*
 * unpack: foreign archives, by libarchive.
 *
 * Two ways to read one. A *stream* goes through a tar once, member by member, and passes
 * contents on without copying them; it is for the layer archives of dt-image(5), and for
 * the layers themselves. An *index* knows where each member of an archive file lies; it
 * is for images that other programs wrote, which may be compressed, out of order and
 * full of links.
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

/* A member of a stream, valid until the next one is asked for. */
struct unpack_member {
	const char *name;
	uint64_t size;       /* of its contents, in bytes */
	bool is_file;        /* a regular file; else it is passed over by the caller */
	const char *records; /* its pax records as they stand in the archive */
	size_t records_len;
};

struct unpack_stream;

/*
 * A stream of the uncompressed tar that `fd` delivers; `what` names it in messages and
 * is kept. Archives may follow on each other. The caller releases it.
 */
struct unpack_stream *unpack_stream_new(int fd, const char *what);
void unpack_stream_release(struct unpack_stream *s);

/*
 * From now on, what the stream takes from its descriptor goes to tee(arg, data, len, e),
 * which returns 0, or -1 and why: headers, padding, contents that are passed over, and
 * what stands behind the members, but not what unpack_copy() and unpack_read() deliver.
 */
void unpack_stream_tee(struct unpack_stream *s,
		       int (*tee)(void *arg, const void *data, size_t len, struct err *e),
		       void *arg);

/*
 * Goes to the next member, past whatever is left of the one before. Returns 1; 0 at the
 * end, if the last archive ended with its end-of-archive mark; -1 and why not. A pax
 * record that is malformed is an error, as it is for GNU tar and Docker.
 */
int unpack_next(struct unpack_stream *s, struct unpack_member *m, struct err *e);

/*
 * Writes the member's contents to `out`, by splice where possible; of a sparse file, its
 * holes too. Returns 0, or -1 and why not.
 */
int unpack_copy(struct unpack_stream *s, int out, struct err *e);

/* The same, watched: io_copy_seen(). */
int unpack_copy_seen(struct unpack_stream *s, int out, const struct io_watch *watch,
		     struct err *e);

/* Appends the member's contents, at most `limit` bytes. 0, or -1 and why not. */
int unpack_read(struct unpack_stream *s, struct buf *out, size_t limit, struct err *e);

/*
 * A stream of the layer tar that lies in `fd` from `offset` on, `size` bytes; it reads
 * by pread(2). As every reader of layers does, it ends at the first end-of-archive mark;
 * there may be none, and no member.
 */
struct unpack_stream *unpack_layer_new(int fd, off_t offset, uint64_t size,
				       const char *what);

/*
 * The same of a complete archive of `size` bytes that is not a layer: others may follow
 * on it, and the last one must end with its end-of-archive mark.
 */
struct unpack_stream *unpack_archive_new(int fd, uint64_t size, const char *what);

/* Has the stream of a layer end with an end-of-archive mark, and have a member. */
void unpack_layer_demand_end(struct unpack_stream *s);

/* All that a layer says of a member, valid until the next one is asked for. */
struct unpack_attributes {
	uint32_t mode; /* st_mode; of a hard link, to be ignored, as all but `link` */
	bool is_hardlink;
	const char *link; /* the target of a symlink or hard link, else NULL */
	uint64_t uid, gid;
	int64_t mtime; /* seconds since 1970, and */
	uint32_t nsec; /* nanoseconds after that */
	uint32_t major, minor;
	struct buf xattrs; /* pax records SCHILY.xattr.NAME, sorted by name */
	off_t offset; /* where the contents of a file begin; -1: it is sparse, they are
			 to be had by unpack_expand() only */
};

/*
 * What the layer says of the member that unpack_next() went to. `a` is zeroed the first
 * time and may be used again; the caller releases a->xattrs. 0, or -1 and why not.
 */
int unpack_describe(struct unpack_stream *s, struct unpack_attributes *a, struct err *e);

/* Writes a sparse member's contents to the end of the file `out`, which is at `at`, and
 * leaves its holes. Returns 0, or -1 and why not. */
int unpack_expand(struct unpack_stream *s, int out, off_t at, struct err *e);

/*
 * The value of the pax record `key` among the member's, or false. Points into them.
 */
bool unpack_record(const struct unpack_member *m, const char *key, const char **value,
		   size_t *len);

/*
 * Checks pax records: each must be "LEN KEY=VALUE\n", and sizes, owners and times must be
 * numbers. Returns 0, or -1 and what is wrong.
 */
int unpack_check_records(const char *records, size_t len, struct err *e);

/*
 * An mtree specification as libarchive writes it, mtree(5), made entry by entry. The
 * SHA-256 of files is in it.
 */
struct unpack_list;

/* A specification that is appended to `out`. The caller gives it to unpack_list_end(). */
struct unpack_list *unpack_list_new(struct buf *out);

/*
 * Adds an entry of this path ("" is the root), which has `names` names. Of a file, all of
 * its `size` bytes must follow by unpack_list_data(). Returns 0, or -1 and why not.
 */
int unpack_list_add(struct unpack_list *l, const char *path,
		    const struct unpack_attributes *a, uint64_t size, uint32_t names,
		    struct err *e);
int unpack_list_data(struct unpack_list *l, const void *data, size_t len, struct err *e);

/* Ends the specification and releases `l`. Returns 0, or -1 and why not. */
int unpack_list_end(struct unpack_list *l, struct err *e);

/*
 * Sets how many bytes this process may unpack in all: contents that were compressed, and
 * sparse files together with their holes. The default is 256 GiB. A few kilobytes of
 * untrusted input can hold as much as a disk; this is the limit for all of them.
 */
void unpack_limit(uint64_t bytes);

/* Counts bytes that are about to be unpacked from `what`. 0, or -1 if that is too many.
 */
int unpack_charge(uint64_t bytes, const char *what, struct err *e);

/*
 * The archive `name` ("-": standard input) as an uncompressed regular file. If it is
 * compressed, or no regular file, that is a temporary file without a name. `what` is what
 * it should have been if it is empty. Returns its descriptor, or -1 and why not.
 */
int unpack_open(const char *name, const char *what, struct err *e);

/* Whether these bytes of a file are compressed, going by how they begin. */
bool unpack_is_compressed(int fd, off_t offset, uint64_t size);

/*
 * Uncompresses these bytes into a new temporary file. Returns its descriptor,
 * UNPACK_PLAIN if they are not compressed, or -1 and why not.
 */
enum { UNPACK_PLAIN = -2 };
int unpack_span(int fd, off_t offset, uint64_t size, const char *what, struct err *e);

/* Where a member of an indexed archive lies. */
struct unpack_place {
	off_t offset;
	uint64_t size;
	char *link; /* the name of the member it is a link to, or NULL */
	bool is_file;
	bool is_expanded; /* it was sparse, and lies in the index's spool */
};

struct unpack_index {
	int fd;            /* the archive, uncompressed; or the directory */
	bool is_directory; /* it is one */
	int spool;         /* a temporary file of what was sparse, if anything was */
	struct strset
	    names; /* of the members, without "./", "../" and slashes in front */
	struct unpack_place *place; /* names.n of them; the last of a name counts */
	size_t cap;
};

/*
 * Reads the names of all members of the archive `file` ("-": standard input). What is
 * compressed, sparse or no regular file is first unpacked into a temporary file.
 *
 * A directory that is an OCI image layout reads like an archive of what is in it. Its
 * members are index.json, oci-layout and the files of blobs/sha256 that are named by a
 * digest. Symlinks in it are not followed, and are no files.
 *
 * Returns 0, or -1 and why not. A zeroed struct is an empty index; releasing it is a
 * no-op.
 */
int unpack_index_open(struct unpack_index *x, const char *file, struct err *e);
void unpack_index_release(struct unpack_index *x);

/*
 * The member `name`, through symlinks and hard links. NULL and why not: it is missing,
 * no file, or its links go round in a circle.
 */
const struct unpack_place *unpack_find(const struct unpack_index *x, const char *name,
				       struct err *e);

/* Appends a member's contents, at most `limit` bytes. Returns 0, or -1 and why not. */
int unpack_get(const struct unpack_index *x, const struct unpack_place *p,
	       struct buf *out, size_t limit, struct err *e);

/*
 * A descriptor of the member's contents as they are, compressed or not; they begin at
 * p->offset. *is_own says that the caller closes it. Returns it, or -1 and why not.
 */
int unpack_raw(const struct unpack_index *x, const struct unpack_place *p, bool *is_own,
	       struct err *e);

/*
 * The same of the uncompressed contents, and where in it they lie: a temporary file if
 * the contents are compressed.
 */
int unpack_plain(const struct unpack_index *x, const struct unpack_place *p,
		 off_t *offset, uint64_t *size, bool *is_own, struct err *e);

/*
 * Uncompresses what `fd` holds from `offset` on, `size` bytes that any program
 * compressed; calls write(arg, data, len) with pieces. Returns 0, or -1 and why. What
 * comes out is bounded by write() only.
 */
int unpack_inflate(int fd, off_t offset, uint64_t size,
		   int (*write)(void *arg, const void *data, size_t len, struct err *e),
		   void *arg, const char *what, struct err *e);

#endif
