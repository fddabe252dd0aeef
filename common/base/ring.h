/*
 * ring: pass work from one thread to another in order.
 *
 * A ring is a queue with a fixed number of slots, which are reused. The producer prepares
 * work while the consumer finishes earlier work. Each side waits when the queue is full
 * or empty.
 *
 *	producer: slot = ring_fill(r); ...; ring_pass(r);   at the end ring_end(r)
 *	consumer: while ((slot = ring_take(r)) != NULL) { ...; ring_return(r); }
 *
 * A ring has exactly one producer thread and one consumer thread.
 */
#ifndef DT_RING_H
#define DT_RING_H

#include <stddef.h>

struct ring;

/* Creates a ring of `n` slots of `size` zeroed bytes. The caller releases it. */
struct ring *ring_new(size_t n, size_t size);
void ring_release(struct ring *r);

/*
 * Returns slot `i`, 0 to n-1, so that the caller can set it up or release what it holds.
 */
void *ring_slot(struct ring *r, size_t i);

/* Producer: returns the next slot to fill. Waits until a slot is free. */
void *ring_fill(struct ring *r);

/* Producer: passes the filled slot to the consumer. */
void ring_pass(struct ring *r);

/* Producer: ends the queue. */
void ring_end(struct ring *r);

/*
 * Consumer: returns the next filled slot, or NULL after the last. Waits until a slot is
 * filled.
 */
void *ring_take(struct ring *r);

/* Consumer: frees the slot that ring_take() returned. */
void ring_return(struct ring *r);

#endif
