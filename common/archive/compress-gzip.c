#include "archive/compress.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/pool.h"

#include <libdeflate.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * The stream is split into blocks of BLOCK bytes, and each block becomes a gzip member.
 * Blocks move through a ring. The thread of the caller fills blocks and writes compressed
 * blocks in order. Each worker compresses the next filled block.
 */
enum {
	DEFAULT = 5, /* smaller and faster than level 6 of zlib */
	BLOCK = 1 << 20,
	WORKERS_MAX = 10,
	RING_MAX = 2 * WORKERS_MAX + 1,
	HEADER = 10, /* bytes of a member before the data, and after it */
	TRAILER = 8,
};

struct block {
	bool is_done;
	size_t len, out_len;
	unsigned char in[BLOCK];
	unsigned char *out;
};

struct gzip {
	struct compress compress;
	int level;
	int (*write)(void *arg, const void *data, size_t len, struct err *e);
	void *arg;
	struct block *ring[RING_MAX];
	size_t n, room; /* number of blocks; size of `out` of a block */
	/* Numbers of blocks that were filled, taken by a worker, and written so far. */
	size_t filled, taken, written;
	bool stop;
	unsigned char held[TRAILER]; /* trailer of the last member, to be written later */
	pthread_mutex_t lock;
	pthread_cond_t has_filled, has_done;
	pthread_t worker[WORKERS_MAX];
	size_t n_workers;
};

static struct block *block_at(const struct gzip *g, size_t number)
{
	return g->ring[number % g->n];
}

/* Waits for the next filled block and sets its number. Returns false at the end. */
static bool take(struct gzip *g, size_t *number)
{
	pthread_mutex_lock(&g->lock);
	while (g->taken == g->filled && !g->stop)
		pthread_cond_wait(&g->has_filled, &g->lock);
	bool got = g->taken < g->filled;
	if (got)
		*number = g->taken++;
	pthread_mutex_unlock(&g->lock);
	return got;
}

static void *work(void *arg)
{
	struct gzip *g = arg;
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(g->level);
	size_t number;

	if (c == NULL)
		die("out of memory");
	while (take(g, &number)) {
		struct block *b = block_at(g, number);
		b->out_len = libdeflate_gzip_compress(c, b->in, b->len, b->out, g->room);
		pthread_mutex_lock(&g->lock);
		b->is_done = true;
		pthread_cond_signal(&g->has_done);
		pthread_mutex_unlock(&g->lock);
	}
	libdeflate_free_compressor(c);
	return NULL;
}

/*
 * Writes a member without its trailer. The trailer is written together with the header of
 * the next member. These bytes are so few that a pipe takes all or none of them. So
 * output that is truncated never ends with a complete member, and truncation is always
 * detected.
 */
static int write_member(struct gzip *g, const struct block *b, struct err *e)
{
	unsigned char seam[TRAILER + HEADER];
	size_t held = g->written > 0 ? TRAILER : 0;

	memcpy(seam, g->held, held);
	memcpy(seam + held, b->out, HEADER);
	memcpy(g->held, b->out + b->out_len - TRAILER, TRAILER);
	if (g->write(g->arg, seam, held + HEADER, e) < 0)
		return -1;
	return g->write(g->arg, b->out + HEADER, b->out_len - HEADER - TRAILER, e);
}

/* Waits until the oldest block is compressed, and writes it. */
static int write_oldest(struct gzip *g, struct err *e)
{
	struct block *b = block_at(g, g->written);

	pthread_mutex_lock(&g->lock);
	while (!b->is_done)
		pthread_cond_wait(&g->has_done, &g->lock);
	pthread_mutex_unlock(&g->lock);
	if (b->out_len == 0)
		return err_set(e, "libdeflate fails");
	int result = write_member(g, b, e);
	g->written++;
	b->is_done = false;
	b->len = 0;
	return result;
}

/* Returns the block to fill, which has room, or NULL with the reason in `e`. */
static struct block *current(struct gzip *g, struct err *e)
{
	if (g->filled - g->written == g->n && write_oldest(g, e) < 0)
		return NULL;
	struct block **b = &g->ring[g->filled % g->n];
	if (*b == NULL) {
		*b = mem_zero(1, sizeof **b);
		(*b)->out = mem_resize(NULL, g->room, 1);
	}
	return *b;
}

static void pass_on(struct gzip *g)
{
	pthread_mutex_lock(&g->lock);
	g->filled++;
	pthread_cond_signal(&g->has_filled);
	pthread_mutex_unlock(&g->lock);
}

static int gzip_add(struct compress *c, const void *data, size_t len, struct err *e)
{
	struct gzip *g = (struct gzip *)c;
	const unsigned char *p = data;

	while (len > 0) {
		struct block *b = current(g, e);
		if (b == NULL)
			return -1;
		size_t some = len < BLOCK - b->len ? len : BLOCK - b->len;
		memcpy(b->in + b->len, p, some);
		b->len += some;
		p += some;
		len -= some;
		if (b->len == BLOCK)
			pass_on(g);
	}
	return 0;
}

static int gzip_end(struct compress *c, struct err *e)
{
	struct gzip *g = (struct gzip *)c;
	struct block *b = current(g, e);

	if (b == NULL)
		return -1;
	if (b->len > 0 || g->filled == 0)
		pass_on(g);
	while (g->written < g->filled)
		if (write_oldest(g, e) < 0)
			return -1;
	return g->write(g->arg, g->held, TRAILER, e);
}

static void gzip_restart(struct compress *c, void *arg)
{
	struct gzip *g = (struct gzip *)c;

	pthread_mutex_lock(&g->lock);
	g->filled = g->taken = g->written = 0;
	pthread_mutex_unlock(&g->lock);
	g->arg = arg;
}

static void gzip_release(struct compress *c)
{
	struct gzip *g = (struct gzip *)c;

	pthread_mutex_lock(&g->lock);
	g->taken = g->filled;
	g->stop = true;
	pthread_cond_broadcast(&g->has_filled);
	pthread_mutex_unlock(&g->lock);
	for (size_t i = 0; i < g->n_workers; i++)
		pthread_join(g->worker[i], NULL);
	for (size_t i = 0; i < g->n; i++) {
		if (g->ring[i] != NULL)
			free(g->ring[i]->out);
		free(g->ring[i]);
	}
	pthread_cond_destroy(&g->has_filled);
	pthread_cond_destroy(&g->has_done);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

struct compress *compress_gzip(int level,
			       int (*write)(void *arg, const void *data, size_t len,
					    struct err *e),
			       void *arg)
{
	struct gzip *g = mem_zero(1, sizeof *g);
	size_t want = pool_cores() < WORKERS_MAX ? pool_cores() : WORKERS_MAX;

	g->compress = (struct compress){gzip_add, gzip_end, gzip_restart, gzip_release};
	g->level = level != 0 ? level : DEFAULT;
	g->write = write;
	g->arg = arg;
	g->room = libdeflate_gzip_compress_bound(NULL, BLOCK);
	g->n = 2 * want + 1;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->has_filled, NULL);
	pthread_cond_init(&g->has_done, NULL);
	while (g->n_workers < want &&
	       pthread_create(&g->worker[g->n_workers], NULL, work, g) == 0)
		g->n_workers++;
	if (g->n_workers == 0)
		die("cannot start a thread");
	return &g->compress;
}
