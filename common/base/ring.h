/*
 * ring: work that one thread prepares and another one finishes, in order.
 *
 * A ring of slots of the caller's making: the producer fills one after the other, the
 * consumer gets them in the same order, each side waits while it must. One thread a side.
 */
#ifndef DT_RING_H
#define DT_RING_H

#include <stddef.h>

struct ring;

/* A relay of `n` slots of `size` zeroed bytes. The caller releases it. */
struct ring *ring_new(size_t n, size_t size);
void ring_release(struct ring *r);

/* The slot with this number, 0..n-1, to set it up or tear it down. */
void *ring_slot(struct ring *r, size_t i);

/* Producer: the slot to fill; waits until one is free. */
void *ring_fill(struct ring *r);

/* Producer: hands over the slot that was filled. */
void ring_pass(struct ring *r);

/* Producer: nothing more will come. */
void ring_end(struct ring *r);

/* Consumer: the next filled slot, or NULL after the last one. */
void *ring_take(struct ring *r);

/* Consumer: gives back the slot that was taken. */
void ring_return(struct ring *r);

#endif
