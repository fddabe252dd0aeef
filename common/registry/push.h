/*
 * push: store an image in a registry, sending only what it lacks.
 *
 *	push_open(&p, &options, &choice, &e);
 *	push_plan(&p, &e);
 *	push_send(&p, &e);
 *
 * The order makes an incomplete image invisible: layers, configurations, manifests by
 * digest, the index, and the tag last.
 *
 * Functions return 0, or -1 and a reason. push_send() reports some errors by fail(),
 * because they happen in several threads.
 */
#ifndef DT_PUSH_H
#define DT_PUSH_H

#include "archive/compress.h"
#include "registry/known.h"
#include "registry/parts.h"
#include "registry/upload.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct cache;
struct err;
struct registry;

struct push_options {
	struct registry *registry;
	struct registry *other; /* of the repository to mount blobs from, or NULL */
	const char *other_path; /* its path */
	const struct cache *cache;
	unsigned patience; /* see fetch.h */
	const char *tag;
	enum compress_format format; /* COMPRESS_GZIP or COMPRESS_ZSTD */
	int level;                   /* of compress_gzip() or compress_zstd() */
	size_t jobs;                 /* blobs that are sent at once */
	bool check;                  /* ask for all blobs, also those of the tag */
	bool read_only;              /* write nothing: only push_plan() will be called */
	/* Must not return. */
	void (*fail)(void *arg, const struct err *why) __attribute__((noreturn));
	void *arg;
};

/* The state of a blob. */
struct push_blob {
	bool is_there;       /* the registry has it */
	bool is_sent;        /* it was sent by this process */
	struct buf location; /* of an upload that a mount has begun */
};

struct push {
	const struct push_options *o;
	struct parts parts;
	struct known known;
	struct push_blob *blob; /* parts.names.n of them */
	struct upload upload;
	bool is_forced;        /* send also what the registry claims to have */
	pthread_mutex_t lock;  /* for the members below */
	uint64_t sent, reused; /* result: bytes of blobs */
};

/* `o` and `choice` must outlive `p`. The caller must release `p` in all cases. */
int push_open(struct push *p, const struct push_options *o,
	      const struct image_choice *choice, struct err *e);
void push_release(struct push *p);

/* Finds out which blobs the registry has. Mounts those of the other repository. */
int push_plan(struct push *p, struct err *e);

/* Appends the diff_ids of the layers that the registry lacks, one per line. */
void push_missing(const struct push *p, struct buf *out);

/* Stores what the registry lacks, and moves the tag. */
int push_send(struct push *p, struct err *e);

#endif
