/*
 * blobs: the cache of downloaded blobs.
 *
 * Each blob is a file in the cache's directory, named by its digest. blobs/HEX is
 * complete. blobs/HEX.part is incomplete and locked by the process that downloads it. If
 * that process exits, another process continues the download.
 *
 *	fd = blobs_open(cache, hex);
 *	if (fd < 0 && blobs_begin(cache, hex, limit, 60, &part, &e) == 1) {
 *		... blobs_write(), then compare the digest ...
 *		fd = blobs_finish(&part);
 *	}
 *
 * The cache is optional. A blob goes to an unnamed file if the cache is full or not
 * writable, or if another process holds the part without making progress.
 */
#ifndef DT_BLOBS_H
#define DT_BLOBS_H

#include <stddef.h>
#include <stdint.h>

struct cache;
struct err;

/* A blob that is being downloaded. */
struct blobs_part {
	int fd;             /* open for reading and writing */
	uint64_t have;      /* bytes written so far */
	char *name, *whole; /* current and final file name; NULL if unnamed */
};

/*
 * Opens the complete blob. Returns its descriptor, or -1 if the cache does not have it.
 */
int blobs_open(const struct cache *c, const char *hex);

/*
 * Begins or continues the download of a blob of at most `limit` bytes. If another process
 * downloads it, waits as long as that process gets an eighth of `limit` in each
 * `patience` seconds.
 *
 * Returns 1 if the caller must write the blob; 0 if another process has completed it,
 * with p->fd open on it; or -1 and a reason.
 */
int blobs_begin(const struct cache *c, const char *hex, uint64_t limit, unsigned patience,
		struct blobs_part *p, struct err *e);

/* Appends to the part. Returns 0, or -1 and a reason. */
int blobs_write(struct blobs_part *p, const void *data, size_t len, struct err *e);

/* Discards the contents of the part. Returns 0, or -1 and a reason. */
int blobs_restart(struct blobs_part *p, struct err *e);

/*
 * Makes the part the complete blob. Returns its descriptor, which the caller must close.
 */
int blobs_finish(struct blobs_part *p);

/* Closes the part. Keeps its file for the next download, unless it is empty. */
void blobs_leave(struct blobs_part *p);

/* Removes a damaged blob from the cache. */
void blobs_forget(const struct cache *c, const char *hex);

#endif
