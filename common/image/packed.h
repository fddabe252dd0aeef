/*
 * packed: a blob in a temporary file, which may still grow.
 *
 * A layer is compressed into the file by one thread while another thread sends the
 * beginning of it:
 *
 *	packed_begin(&p, &e);
 *	packed_layer(&p, &image, i, compressor, &e);		in one thread
 *	packed_wait(&p, least, &size, &e);			in another thread
 *	packed_release(&p);
 *
 * The file has no name, so it disappears with the process.
 */
#ifndef DT_PACKED_H
#define DT_PACKED_H

#include "archive/compress.h"
#include "base/digest.h"
#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;
struct progress_task;
struct unpack_index;
struct unpack_place;

/* The steps of a progress task: until the blob is complete, and after that. */
enum { PACKED_FILL, PACKED_USE };

struct packed {
	int fd;
	off_t at;                 /* where the blob begins in the file */
	bool is_own;              /* `fd` is closed by packed_release() */
	uint64_t size;            /* bytes so far */
	char hex[DIGEST_HEX + 1]; /* of the blob, once it is complete */
	enum { PACKED_GROWS, PACKED_COMPLETE, PACKED_FAILED } state;
	struct err why; /* of PACKED_FAILED */
	/* Called once when the file has this size, in the thread that compresses. */
	uint64_t mark;
	void (*reached)(void *arg);
	void *arg;
	struct progress_task *task; /* may be NULL */
	struct digest digest;
	pthread_mutex_t lock; /* for `size` and `state` */
	pthread_cond_t grew;
};

/* Creates the empty file. Returns 0, or -1 and a reason. */
int packed_begin(struct packed *p, struct err *e);

/* Does nothing to a zeroed struct. */
void packed_release(struct packed *p);

/*
 * Appends `len` bytes. `p` is a struct packed; the signature is that of the function that
 * receives the output of a compressor. Returns 0, or -1 and a reason.
 */
int packed_append(void *p, const void *data, size_t len, struct err *e);

/*
 * Marks the file as complete, or as failed for the reason `why` if `result` is -1.
 * Returns `result`.
 */
int packed_end(struct packed *p, int result, const struct err *why);

/*
 * Returns a compressor for packed_layer(), which the caller releases. It compresses one
 * layer after the other. `level` is as for compress_new().
 */
struct compress *packed_compressor(enum compress_format format, int level);

/*
 * Fills the file with layer `i` of an image, compressed by `c`. The uncompressed layer is
 * compared with its diff_id before the file becomes complete. Returns 0, or -1 and a
 * reason.
 */
int packed_layer(struct packed *p, const struct image *im, size_t i, struct compress *c,
		 struct err *e);

/* Fills the file with these bytes. Returns 0, or -1 and a reason. */
int packed_text(struct packed *p, const void *data, size_t len, struct err *e);

/*
 * Makes `p` a member of an archive as it is, without a copy. Its digest must be `hex`; if
 * `diff_id` is not NULL, it must be compressed and unpack to that digest. packed_begin()
 * must not be called before. Returns 0, or -1 and a reason.
 */
int packed_member(struct packed *p, const struct unpack_index *x,
		  const struct unpack_place *place, const char *hex, const char *diff_id,
		  struct err *e);

/* The same for a regular file, which must not change. */
int packed_file(struct packed *p, int fd, struct err *e);

/*
 * Waits until the file has `least` bytes or is complete. Sets *size to the bytes that it
 * has. Returns 1 if it is complete, 0 if it grows, or -1 and a reason.
 */
int packed_wait(struct packed *p, uint64_t least, uint64_t *size, struct err *e);

#endif
