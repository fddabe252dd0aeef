#include "registry/sender.h"

#include "base/mem.h"
#include "registry/registry.h"
#include "registry/upload.h"

#include <pthread.h>
#include <stdlib.h>

enum { SPARE = 2 /* items that wait for a thread */ };

struct sender {
	const struct upload *u;
	const struct sender_calls *calls;
	pthread_mutex_t lock; /* for all members below */
	pthread_cond_t has_item, has_room;
	struct sender_item *first, **last;
	size_t n; /* items that are not sent yet */
	bool is_ended;
	pthread_t thread[REGISTRY_JOBS_MAX];
	size_t n_threads;
};

static struct sender_item *take(struct sender *s)
{
	pthread_mutex_lock(&s->lock);
	while (s->first == NULL && !s->is_ended)
		pthread_cond_wait(&s->has_item, &s->lock);
	struct sender_item *item = s->first;
	if (item != NULL) {
		s->first = item->next;
		if (s->first == NULL)
			s->last = &s->first;
	}
	pthread_mutex_unlock(&s->lock);
	return item;
}

/* Asks whether the registry has the blob, if its digest is known. */
static int ask(const struct sender *s, struct sender_item *item, struct err *e)
{
	uint64_t size;

	if (!item->ask || packed_wait(&item->packed, 0, &size, e) != 1)
		return 0;
	return upload_has(s->u->registry, item->packed.hex, size, &item->was_there, e);
}

static void *work(void *arg)
{
	struct sender *s = arg;
	struct sender_item *item;
	struct err why;

	while ((item = take(s)) != NULL) {
		if (ask(s, item, &why) < 0 ||
		    (!item->was_there &&
		     upload_blob(s->u, &item->packed, item->location, &why) < 0))
			s->calls->fail(s->calls->arg, &why);
		s->calls->done(s->calls->arg, item);
		pthread_mutex_lock(&s->lock);
		s->n--;
		pthread_cond_broadcast(&s->has_room);
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

struct sender *sender_new(const struct upload *u, size_t jobs,
			  const struct sender_calls *calls)
{
	struct sender *s = mem_zero(1, sizeof *s);

	s->u = u;
	s->calls = calls;
	s->last = &s->first;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->has_item, NULL);
	pthread_cond_init(&s->has_room, NULL);
	while (s->n_threads < jobs && s->n_threads < REGISTRY_JOBS_MAX &&
	       pthread_create(&s->thread[s->n_threads], NULL, work, s) == 0)
		s->n_threads++;
	if (s->n_threads == 0)
		die("cannot start a thread");
	return s;
}

void sender_wait(struct sender *s)
{
	pthread_mutex_lock(&s->lock);
	while (s->n >= s->n_threads + SPARE)
		pthread_cond_wait(&s->has_room, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

void sender_post(struct sender *s, struct sender_item *item)
{
	pthread_mutex_lock(&s->lock);
	item->next = NULL;
	*s->last = item;
	s->last = &item->next;
	s->n++;
	pthread_cond_signal(&s->has_item);
	pthread_mutex_unlock(&s->lock);
}

void sender_end(struct sender *s)
{
	pthread_mutex_lock(&s->lock);
	s->is_ended = true;
	pthread_cond_broadcast(&s->has_item);
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < s->n_threads; i++)
		pthread_join(s->thread[i], NULL);
	pthread_cond_destroy(&s->has_item);
	pthread_cond_destroy(&s->has_room);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
