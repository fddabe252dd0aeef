/*
 * blobs: what was downloaded, in files named by digests. Level 5.
 *
 * In the cache's folder: blobs/HEX is whole, blobs/HEX.part is on its way, and locked by
 * the process that writes it. A part that was left is gone on with. Without a cache, a
 * part is a temporary file.
 */
#ifndef DT_BLOBS_H
#define DT_BLOBS_H

#include <stdint.h>

struct cache;
struct err;

/* A blob on its way. */
struct blobs_part {
	int fd;        /* for reading and writing */
	uint64_t have; /* bytes that are in it */
	char *name;    /* NULL: a temporary file */
};

/* A descriptor of the whole blob, or -1 if it is not here. */
int blobs_open(const struct cache *c, const char *hex);

/*
 * Begins to write a blob, or goes on, once no other process does. Returns 1; 0 if another
 * process has finished it, and p->fd is a descriptor of it; -1 and why not.
 */
int blobs_begin(const struct cache *c, const char *hex, struct blobs_part *p,
		struct err *e);

/* Forgets what is in the part. Returns 0, or -1 and why not. */
int blobs_restart(struct blobs_part *p, struct err *e);

/* Makes the part the whole blob. Returns its descriptor, or -1 and why not. */
int blobs_finish(struct blobs_part *p, struct err *e);

/* Lets go of the part, and leaves it for the next time if there is anything in it. */
void blobs_leave(struct blobs_part *p);

/* Forgets a blob that turned out to be damaged. */
void blobs_forget(const struct cache *c, const char *hex);

#endif
