/*
 * sender: send blobs in several threads while others are made.
 *
 *	s = sender_new(&upload, 4, fail, arg);
 *	for each blob: sender_wait(s); make it; sender_post(s, &item);
 *	sender_end(s);
 *
 * A blob may be posted while it still grows.
 */
#ifndef DT_SENDER_H
#define DT_SENDER_H

#include "image/packed.h"

#include <stdbool.h>
#include <stddef.h>

struct err;
struct upload;

/* A blob. The caller owns it, and releases `packed` in done(). */
struct sender_item {
	struct packed packed;
	const char *location; /* for upload_blob() */
	bool ask;       /* ask first whether the registry has it, if it is complete */
	bool was_there; /* result: it was not sent */
	struct sender_item *next; /* private */
};

struct sender_calls {
	/* Must not return. Called from any thread. */
	void (*fail)(void *arg, const struct err *why) __attribute__((noreturn));
	/* Called in the thread that sent the item. */
	void (*done)(void *arg, struct sender_item *item);
	void *arg;
};

struct sender;

/* Starts `jobs` threads, at most 64. The caller ends them with sender_end(). */
struct sender *sender_new(const struct upload *u, size_t jobs,
			  const struct sender_calls *calls);

/*
 * Waits until only a few items are left to be sent, so that temporary files do not
 * accumulate.
 */
void sender_wait(struct sender *s);

/* Adds an item. It must be posted exactly once. */
void sender_post(struct sender *s, struct sender_item *item);

/* Waits until all items are sent. Frees `s`. */
void sender_end(struct sender *s);

#endif
