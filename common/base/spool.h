/*
 * spool: keep many pieces of data in a few temporary files.
 *
 * A temporary file for each layer of an image would need a descriptor for each layer. In
 * a spool, each thread that writes a piece takes a file for itself and appends the piece
 * to it. So the number of descriptors is that of the threads, at most SPOOL_FILES:
 *
 *	fd = spool_take(&s, &offset);
 *	...write the piece to `fd`...
 *	spool_return(&s, fd);
 *	...read the piece from `offset` of `fd`, also while others append...
 *
 * The disk space of a piece is not freed before the spool: a pipe may still refer to
 *pages of the file, and a hole would change them.
 */
#ifndef DT_SPOOL_H
#define DT_SPOOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { SPOOL_FILES = 16 };

struct spool {
	pthread_mutex_t lock;
	pthread_cond_t returned;
	int fd[SPOOL_FILES], unused[SPOOL_FILES];
	int adopted[SPOOL_FILES];
	size_t n, n_unused, n_adopted;
};

void spool_init(struct spool *s);

/* Closes all files. */
void spool_release(struct spool *s);

/*
 * Returns a file that no other thread has, with its offset at its end, which is stored in
 * *end. Waits if there are too many files. Returns -1 with errno set on failure. A thread
 * must not take two files at once.
 */
int spool_take(struct spool *s, off_t *end);

/* Lets other threads append to the file. Pieces in it stay where they are. */
void spool_return(struct spool *s, int fd);

/*
 * Adds a file that has a piece already, so that it need not be copied. The spool closes
 * it. Returns false if the spool has SPOOL_FILES such files already.
 */
bool spool_adopt(struct spool *s, int fd);

#endif
