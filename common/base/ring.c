#include "base/ring.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct ring {
	char *slots;
	size_t n, size;
	size_t filled, taken; /* slots passed and slots returned so far */
	bool ended;
	pthread_mutex_t lock;
	pthread_cond_t has_filled, has_room;
};

struct ring *ring_new(size_t n, size_t size)
{
	struct ring *r = mem_zero(1, sizeof *r);

	r->slots = mem_zero(n, size);
	r->n = n;
	r->size = size;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->has_filled, NULL);
	pthread_cond_init(&r->has_room, NULL);
	return r;
}

void ring_release(struct ring *r)
{
	pthread_cond_destroy(&r->has_room);
	pthread_cond_destroy(&r->has_filled);
	pthread_mutex_destroy(&r->lock);
	free(r->slots);
	free(r);
}

void *ring_slot(struct ring *r, size_t i)
{
	return r->slots + i % r->n * r->size;
}

void *ring_fill(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	while (r->filled - r->taken == r->n)
		pthread_cond_wait(&r->has_room, &r->lock);
	void *slot = ring_slot(r, r->filled);
	pthread_mutex_unlock(&r->lock);
	return slot;
}

void ring_pass(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	r->filled++;
	pthread_cond_signal(&r->has_filled);
	pthread_mutex_unlock(&r->lock);
}

void ring_end(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	r->ended = true;
	pthread_cond_signal(&r->has_filled);
	pthread_mutex_unlock(&r->lock);
}

void *ring_take(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	while (r->filled == r->taken && !r->ended)
		pthread_cond_wait(&r->has_filled, &r->lock);
	void *slot = r->filled != r->taken ? ring_slot(r, r->taken) : NULL;
	pthread_mutex_unlock(&r->lock);
	return slot;
}

void ring_return(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	r->taken++;
	/*
	 * Wake a waiting producer only when half of the slots are free, to save context
	 * switches.
	 */
	if (r->filled - r->taken <= r->n / 2)
		pthread_cond_signal(&r->has_room);
	pthread_mutex_unlock(&r->lock);
}
