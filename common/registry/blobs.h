/*
 * blobs: what was downloaded, in files named by digests.
 *
 * In the cache's directory, blobs/HEX is complete, and blobs/HEX.part is on its way and
 * locked by the process that writes it. If that process ends, another one goes on with
 * the part.
 *
 * The cache only saves work: if it cannot be written to, is full, or has a part that
 * another process keeps and does not fill, the blob goes to a file of its own.
 */
#ifndef DT_BLOBS_H
#define DT_BLOBS_H

#include <stddef.h>
#include <stdint.h>

struct cache;
struct err;

/* A blob on its way. */
struct blobs_part {
	int fd;             /* for reading and writing */
	uint64_t have;      /* bytes that are in it */
	char *name, *whole; /* of its file, now and in the end; NULL if it has none */
};

/* A descriptor of the complete blob, or -1 if it is not here. */
int blobs_open(const struct cache *c, const char *hex);

/*
 * Begins to write a blob of at most `limit` bytes, or goes on with it. If another process
 * is writing it, waits for that as long as an eighth of it comes in each `patience`
 * seconds. Returns 1; 0 if another process has finished the blob, and p->fd is a
 * descriptor of it; -1 and why not.
 */
int blobs_begin(const struct cache *c, const char *hex, uint64_t limit, unsigned patience,
		struct blobs_part *p, struct err *e);

/* Appends to the part. Returns 0, or -1 and why not. */
int blobs_write(struct blobs_part *p, const void *data, size_t len, struct err *e);

/* Forgets what is in the part. Returns 0, or -1 and why not. */
int blobs_restart(struct blobs_part *p, struct err *e);

/* Makes the part the complete blob. Returns its descriptor. */
int blobs_finish(struct blobs_part *p);

/* Closes the part, and leaves it for the next time if there is anything in it. */
void blobs_leave(struct blobs_part *p);

/* Forgets a blob that turned out to be damaged. */
void blobs_forget(const struct cache *c, const char *hex);

#endif
