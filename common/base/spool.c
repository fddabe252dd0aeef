#include "base/spool.h"

#include "base/io.h"

#include <errno.h>
#include <unistd.h>

void spool_init(struct spool *s)
{
	*s = (struct spool){0};
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->returned, NULL);
}

void spool_release(struct spool *s)
{
	for (size_t i = 0; i < s->n; i++)
		close(s->fd[i]);
	for (size_t i = 0; i < s->n_adopted; i++)
		close(s->adopted[i]);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->returned);
	*s = (struct spool){0};
}

/* Returns an unused file, or -1 with errno set. The caller has the lock. */
static int find(struct spool *s)
{
	int why = 0;

	if (s->n_unused == 0 && s->n < SPOOL_FILES) {
		int fd = io_tmpfile();
		why = errno;
		if (fd >= 0)
			s->fd[s->n++] = s->unused[s->n_unused++] = fd;
	}
	/* If descriptors run out, a file of another thread will do. */
	while (s->n_unused == 0 && s->n > 0)
		pthread_cond_wait(&s->returned, &s->lock);
	errno = why;
	return s->n_unused > 0 ? s->unused[--s->n_unused] : -1;
}

int spool_take(struct spool *s, off_t *end)
{
	pthread_mutex_lock(&s->lock);
	int fd = find(s);
	pthread_mutex_unlock(&s->lock);
	if (fd < 0)
		return -1;
	*end = lseek(fd, 0, SEEK_END);
	if (*end >= 0)
		return fd;
	int why = errno;
	spool_return(s, fd);
	errno = why;
	return -1;
}

bool spool_adopt(struct spool *s, int fd)
{
	pthread_mutex_lock(&s->lock);
	bool has_room = s->n_adopted < SPOOL_FILES;
	if (has_room)
		s->adopted[s->n_adopted++] = fd;
	pthread_mutex_unlock(&s->lock);
	return has_room;
}

void spool_return(struct spool *s, int fd)
{
	pthread_mutex_lock(&s->lock);
	s->unused[s->n_unused++] = fd;
	pthread_cond_signal(&s->returned);
	pthread_mutex_unlock(&s->lock);
}
