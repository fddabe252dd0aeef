/*
 * pull: download an image: its manifest, its configuration and its distinct layers.
 *
 *	pull_open(&p, &options, &e);
 *	pull_start(&p);
 *	for each i below p.n_layers:
 *		layer = pull_wait(&p, i), use layer->file;
 *	pull_end(&p);
 *	pull_release(&p);
 *
 * Several layers are downloaded and uncompressed at once, the largest first.
 */
#ifndef DT_PULL_H
#define DT_PULL_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/spool.h"
#include "image/manifest.h"
#include "image/platform.h"
#include "registry/fetch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache;
struct err;
struct pool;
struct registry;

struct pull_options {
	struct registry *registry;
	const struct cache *cache;
	unsigned patience;  /* see fetch.h */
	const char *digest; /* of the manifest or index, in hex */
	struct platform platform;
	const char *os;
	size_t jobs; /* layers that are downloaded at once */
	/* Called in any thread if a layer cannot be had. Must not return. */
	void (*fail)(void *arg, const struct err *why) __attribute__((noreturn));
	void *arg;
};

/* A layer to download. The image may list it several times. */
struct pull_layer {
	const struct manifest_blob *blob;
	const char *diff_id; /* in hex */
	size_t turn;         /* position in the order of downloads */
	bool is_begun;       /* with the lock of struct pull */
	struct fetch_layer file;
};

struct pull {
	const struct pull_options *o;
	struct fetch fetch;
	struct spool spool; /* the layers, until pull_release() */
	struct manifest manifest;
	struct buf config_text;
	json_t *config;
	char (*diff_id)[DIGEST_HEX + 1]; /* manifest.n of them */
	struct pull_layer *layer; /* the distinct ones, in the order of the image */
	size_t n_layers;
	struct pull_layer **order; /* in the order of downloads */
	struct pool *pool;
	_Atomic uint64_t came; /* bytes downloaded */
	pthread_mutex_t lock;  /* for the members below */
	size_t done, reused;   /* layers; those that were in the cache */
	uint64_t expected; /* bytes to download in all; at first, those of all layers */
};

/*
 * Reads the manifest, following indexes to it, and the configuration. `o` must outlive
 * `p`. Returns 0, or -1 and a reason. The caller must release `p` in all cases.
 */
int pull_open(struct pull *p, const struct pull_options *o, struct err *e);
void pull_release(struct pull *p);

/* Starts the downloads. */
void pull_start(struct pull *p);

/* Waits for a layer. */
const struct pull_layer *pull_wait(struct pull *p, size_t i);

/*
 * Does the same, but if no thread has begun to uncompress a layer from the cache, the
 * caller uncompresses it itself, straight to its output: layer->file.is_packed is set.
 */
const struct pull_layer *pull_take(struct pull *p, size_t i);

/* Waits for all threads, and removes the progress from the terminal. */
void pull_end(struct pull *p);

#endif
