#include "registry/fetch.h"

#include "archive/unpack.h"
#include "base/buf.h"
#include "base/cache.h"
#include "base/err.h"
#include "base/io.h"
#include "base/num.h"
#include "base/progress.h"
#include "base/ring.h"
#include "base/spool.h"
#include "registry/fetch-private.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 256 << 10, CHUNKS = 4 };
static const char *const steps[PROGRESS_STEPS] = {"downloading", "uncompressing"};

enum { LAYER_NAME = sizeof "layer sha256:" + DIGEST_HEX };

/* --- facts about layers --- */

/*
 * The cache records the size of each layer that was uncompressed and had the right
 * diff_id. The same blob then need not be hashed again in uncompressed form.
 */
static void fact_key(const char *hex, const char *diff_id, char key[DIGEST_HEX + 1])
{
	struct digest d;

	digest_init(&d);
	digest_text(&d, hex);
	digest_text(&d, diff_id);
	digest_hex(&d, key);
	digest_release(&d);
}

static bool known_size(const struct fetch *f, const char *hex, const char *diff_id,
		       uint64_t *size)
{
	char key[DIGEST_HEX + 1];
	struct buf text = {0};

	fact_key(hex, diff_id, key);
	bool is_known = cache_get(f->cache, "unpacked", key, &text) &&
			num_parse(text.data, text.len, INT64_MAX, size) == 0;
	buf_release(&text);
	return is_known;
}

static void record_size(const struct fetch *f, const char *hex, const char *diff_id,
			uint64_t size)
{
	char key[DIGEST_HEX + 1], text[24];

	fact_key(hex, diff_id, key);
	int len = snprintf(text, sizeof text, "%" PRIu64, size);
	cache_put(f->cache, "unpacked", key, text, (size_t)len);
}

/* --- layers --- */

/*
 * A layer that is being uncompressed. A second thread hashes and writes the layer, so
 * that a large layer uses two cores.
 */
struct plain {
	int fd;
	off_t offset; /* in `fd` */
	bool is_hashed;
	struct digest digest; /* if it is hashed */
	uint64_t size;
	struct ring *ring; /* of struct chunk */
	struct progress_task *task;
	_Atomic bool failed; /* then `why` is set */
	struct err why;
};

struct chunk {
	size_t len;
	char data[BLOCK];
};

static void *finish_chunks(void *arg)
{
	struct plain *p = arg;
	struct chunk *chunk;

	while ((chunk = ring_take(p->ring)) != NULL) {
		if (p->is_hashed)
			digest_update(&p->digest, chunk->data, chunk->len);
		p->size += chunk->len;
		if (!p->failed && io_write(p->fd, chunk->data, chunk->len) < 0) {
			err_set_errno(&p->why, "cannot write a temporary file in TMPDIR");
			p->failed = true;
		}
		ring_return(p->ring);
	}
	return NULL;
}

static int take_plain(void *arg, const void *data, size_t len, struct err *e)
{
	struct plain *p = arg;
	const char *from = data;

	(void)e;
	progress_add(p->task, FETCH_UNPACK, len);
	while (len > 0 && !p->failed) {
		struct chunk *chunk = ring_fill(p->ring);
		chunk->len = len < sizeof chunk->data ? len : sizeof chunk->data;
		memcpy(chunk->data, from, chunk->len);
		from += chunk->len;
		len -= chunk->len;
		ring_pass(p->ring);
	}
	return p->failed ? -1 : 0;
}

/* Uncompresses the `size` bytes of `fd` into the file of `p`. */
static int inflate(int fd, uint64_t size, struct plain *p, const char *what,
		   struct err *e)
{
	pthread_t thread;

	p->ring = ring_new(CHUNKS, sizeof(struct chunk));
	if (pthread_create(&thread, NULL, finish_chunks, p) != 0)
		die("cannot start a thread");
	int result = unpack_inflate(fd, 0, size, take_plain, p, what, e);
	ring_end(p->ring);
	pthread_join(thread, NULL);
	ring_release(p->ring);
	if (p->failed) {
		*e = p->why;
		result = -1;
	}
	return result;
}

/* Whether the file of a blob has the right contents. */
static bool has_digest(int fd, const char *hex)
{
	char found[DIGEST_HEX + 1];
	struct stat st;

	return fstat(fd, &st) == 0 &&
	       digest_span(fd, 0, (uint64_t)st.st_size, found) == 0 &&
	       digest_is_same(found, hex);
}

/* Takes a file of the spool and calls put() with it. */
static int append(struct spool *spool, int fd, uint64_t size, struct plain *p,
		  int (*put)(int fd, uint64_t size, struct plain *p, const char *what,
			     struct err *e),
		  const char *what, struct err *e)
{
	p->fd = spool_take(spool, &p->offset);
	if (p->fd < 0)
		return err_set_errno(e, "cannot write a temporary file in TMPDIR");
	int result = put(fd, size, p, what, e);
	spool_return(spool, p->fd);
	return result;
}

static int copy(int fd, uint64_t size, struct plain *p, const char *what, struct err *e)
{
	off_t at = 0;

	(void)what;
	p->size = size;
	return io_copy(fd, &at, p->fd, size) == (int64_t)size
		   ? 0
		   : err_set_errno(e, "cannot write a temporary file in TMPDIR");
}

/* Hashes a file that is not compressed. It is copied only if there are too many. */
static int keep(struct spool *spool, int fd, uint64_t size, struct plain *p,
		const char *what, struct err *e)
{
	int64_t hashed = p->is_hashed ? fetch_hash(&p->digest, fd, e) : (int64_t)size;

	if (hashed < 0)
		return -1;
	p->size = (uint64_t)hashed;
	p->fd = dup(fd);
	if (p->fd < 0)
		return err_set_errno(e, "%s", what);
	if (spool_adopt(spool, p->fd))
		return 0;
	close(p->fd);
	return append(spool, fd, p->size, p, copy, what, e);
}

/* Adds the uncompressed bytes of `fd` to the spool. */
static int uncompress(struct spool *spool, int fd, struct plain *p, const char *what,
		      struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set_errno(e, "%s", what);
	uint64_t size = (uint64_t)st.st_size;
	return unpack_is_compressed(fd, 0, size)
		   ? append(spool, fd, size, p, inflate, what, e)
		   : keep(spool, fd, size, p, what, e);
}

static void name_layer(const char *hex, char what[LAYER_NAME])
{
	snprintf(what, LAYER_NAME, "layer sha256:%s", hex);
}

/* Compares the layer with its diff_id. */
static int check_layer(struct plain *p, const char *what, const char *diff_id,
		       struct err *e)
{
	char found[DIGEST_HEX + 1];

	digest_hex(&p->digest, found);
	return digest_is_same(found, diff_id)
		   ? 0
		   : err_set(e, "%s unpacks to sha256:%s, not to its diff_id sha256:%s",
			     what, found, diff_id);
}

/*
 * Uncompresses the layer into the spool. Compares it with its diff_id, unless that was
 * done before with this blob.
 */
static int unpack_layer(const struct fetch *f, int fd, const char *hex,
			const char *diff_id, struct fetch_layer *layer,
			struct progress_task *task, struct err *e)
{
	char what[LAYER_NAME];
	uint64_t known = 0;
	struct plain p = {
	    .fd = -1,
	    .is_hashed = !layer->is_cached || !known_size(f, hex, diff_id, &known) ||
			 !has_digest(fd, hex),
	    .task = task,
	};

	name_layer(hex, what);
	progress_set(task, FETCH_UNPACK, 0);
	progress_step(task, FETCH_UNPACK, known);
	digest_init(&p.digest);
	int result = uncompress(f->spool, fd, &p, what, e);
	if (result == 0 && !p.is_hashed && p.size != known)
		result = err_set(e, "%s has another size than before", what);
	if (result == 0 && p.is_hashed) {
		result = check_layer(&p, what, diff_id, e);
		if (result == 0)
			record_size(f, hex, diff_id, p.size);
	}
	layer->fd = p.fd;
	layer->offset = p.offset;
	layer->size = p.size;
	digest_release(&p.digest);
	return result;
}

static int get_layer(const struct fetch *f, const struct manifest_blob *b,
		     const char *diff_id, struct fetch_layer *layer,
		     struct progress_task *task, struct err *e)
{
	struct incoming in = {
	    .f = f, .b = b, .kind = "blobs", .limit = b->size, .task = task};

	layer->is_packed = false;
	layer->came = 0;
	for (;;) {
		int fd = fetch_open(&in, &layer->is_cached, e);
		if (fd < 0)
			return -1;
		layer->came += in.came;
		int result = unpack_layer(f, fd, b->hex, diff_id, layer, task, e);
		close(fd);
		if (result == 0 || !layer->is_cached)
			return result;
		/* The cached file may be damaged. If so, a new download helps. */
		inform("%s: removed from the cache", e->text);
		blobs_forget(f->cache, b->hex);
	}
}

int fetch_layer(const struct fetch *f, const struct manifest_blob *b, const char *diff_id,
		struct fetch_layer *layer, struct err *e)
{
	struct progress_task task = {0};

	progress_begin(&task, steps, b->hex);
	int result = get_layer(f, b, diff_id, layer, &task, e);
	progress_finish(&task);
	return result;
}

bool fetch_known(const struct fetch *f, const struct manifest_blob *b,
		 const char *diff_id, struct fetch_layer *layer)
{
	*layer = (struct fetch_layer){.is_cached = true, .is_packed = true};
	layer->fd = blobs_open(f->cache, b->hex);
	if (layer->fd < 0)
		return false;
	if (known_size(f, b->hex, diff_id, &layer->size) &&
	    unpack_is_compressed(layer->fd, 0, b->size))
		return true;
	close(layer->fd);
	return false;
}

bool fetch_is_right(const struct manifest_blob *b, const struct fetch_layer *layer)
{
	bool is_right = has_digest(layer->fd, b->hex);

	inform("blob sha256:%s: %s", b->hex,
	       is_right ? "from the cache, and uncompressed straight to the output"
			: "its file in the cache is damaged");
	return is_right;
}

/* Counts the bytes of a layer that is passed on. */
struct passing {
	int (*give)(void *arg, const void *data, size_t len, struct err *e);
	void *arg;
	struct progress_task *task;
	uint64_t size, want;
};

static int pass(void *arg, const void *data, size_t len, struct err *e)
{
	struct passing *p = arg;

	p->size += len;
	progress_add(p->task, FETCH_UNPACK, len);
	if (p->size > p->want)
		return err_set(e, "it has another size than before");
	return p->give(p->arg, data, len, e);
}

int fetch_unpack(const struct fetch *f, const struct manifest_blob *b,
		 const struct fetch_layer *layer,
		 int (*give)(void *arg, const void *data, size_t len, struct err *e),
		 void *arg, struct err *e)
{
	struct progress_task task = {0};
	struct passing p = {.give = give, .arg = arg, .task = &task, .want = layer->size};
	char what[LAYER_NAME];

	name_layer(b->hex, what);
	progress_begin(&task, steps, b->hex);
	progress_step(&task, FETCH_UNPACK, layer->size);
	int result = unpack_inflate(layer->fd, 0, b->size, pass, &p, what, e);
	if (result == 0 && p.size != p.want)
		result = err_set(e, "%s has another size than before", what);
	progress_finish(&task);
	if (result < 0)
		blobs_forget(f->cache, b->hex);
	close(layer->fd);
	return result;
}
