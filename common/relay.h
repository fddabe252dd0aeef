/*
 * relay: work that one thread prepares and another one finishes, in order. Level 2.
 *
 * A ring of slots of the caller's making: the producer fills one after the other, the
 * consumer gets them in the same order, each side waits while it must. One thread a side.
 */
#ifndef DT_RELAY_H
#define DT_RELAY_H

#include <stddef.h>

struct relay;

/* A relay of `n` slots of `size` zeroed bytes. The caller releases it. */
struct relay *relay_new(size_t n, size_t size);
void relay_release(struct relay *r);

/* The slot with this number, 0..n-1, to set it up or tear it down. */
void *relay_slot(struct relay *r, size_t i);

/* Producer: the slot to fill; waits until one is free. */
void *relay_fill(struct relay *r);

/* Producer: hands over the slot that was filled. */
void relay_pass(struct relay *r);

/* Producer: nothing more will come. */
void relay_end(struct relay *r);

/* Consumer: the next filled slot, or NULL after the last one. */
void *relay_take(struct relay *r);

/* Consumer: gives back the slot that was taken. */
void relay_return(struct relay *r);

#endif
