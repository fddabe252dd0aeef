#include "image/image.h"

#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/spool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024 };

int image_layer_open(const struct image *im, size_t i, struct image_bytes *b,
		     struct err *e)
{
	b->fd = unpack_plain(&im->archive->index, im->layer[i].place, &b->offset,
			     &b->size, &b->is_own, e);
	if (b->fd < 0)
		return err_prefix(e, "%s: layer %zu", im->file, i + 1);
	return 0;
}

void image_layer_close(struct image_bytes *b)
{
	if (b->is_own)
		close(b->fd);
}

static int wrong_digest(const struct image *im, size_t i, const char *hex, struct err *e)
{
	return err_set(e, "%s: layer %zu has the digest %s, not its diff_id %s", im->file,
		       i + 1, hex, im->layer[i].diff_id);
}

int image_layer_read(const struct image *im, size_t i, const struct image_bytes *b,
		     int (*see)(void *arg, const void *data, size_t len, struct err *e),
		     void *arg, struct err *e)
{
	char *block = mem_zero(1, READ_SIZE), hex[DIGEST_HEX + 1];
	struct digest digest;
	uint64_t left = b->size;
	off_t at = b->offset;
	int result = 0;

	digest_init(&digest);
	while (left > 0 && result == 0) {
		size_t want = left < READ_SIZE ? (size_t)left : READ_SIZE;
		ssize_t n = io_pread(b->fd, block, want, at);
		if (n <= 0) {
			result =
			    err_set(e, "%s: layer %zu is truncated", im->file, i + 1);
			break;
		}
		digest_update(&digest, block, (size_t)n);
		if (see != NULL)
			result = see(arg, block, (size_t)n, e);
		at += n;
		left -= (uint64_t)n;
	}
	digest_hex(&digest, hex);
	digest_release(&digest);
	free(block);
	if (result == 0 && !digest_is_same(hex, im->layer[i].diff_id))
		result = wrong_digest(im, i, hex, e);
	return result;
}

/* --- all layers at once --- */

struct one {
	struct image_bytes bytes;
	bool is_plain; /* it is not compressed, and is open */
	struct err why;
	int result;
};

struct image_layers {
	const struct image *im;
	bool verify;
	struct one *one;
	size_t *first;      /* by layer: the first layer that is the same blob */
	struct spool spool; /* the layers that are not in the archive's file */
	struct pool *pool;
};

/* Writes the uncompressed bytes of a layer to `to`. */
static int expand(int raw, const struct unpack_place *place, int to, struct err *e)
{
	off_t at = place->offset;

	if (unpack_is_compressed(raw, at, place->size))
		return unpack_append(raw, at, place->size, to, "a layer", e);
	return io_copy(raw, &at, to, place->size) >= 0
		   ? 0
		   : err_set_errno(e, "cannot write a temporary file");
}

/* Does so in the spool, and sets `b` to where they are. */
static int fill(struct image_layers *l, int raw, const struct unpack_place *place,
		struct image_bytes *b, struct err *e)
{
	off_t start;
	int to = spool_take(&l->spool, &start);

	if (to < 0)
		return err_set_errno(e, "cannot create a temporary file");
	int result = expand(raw, place, to, e);
	off_t end = lseek(to, 0, SEEK_CUR);
	*b = (struct image_bytes){
	    .fd = to, .offset = start, .size = (uint64_t)(end - start)};
	spool_return(&l->spool, to);
	return result;
}

static int fetch(struct image_layers *l, size_t i, struct image_bytes *b, struct err *e)
{
	const struct unpack_place *place = l->im->layer[i].place;
	bool is_own = false;
	int raw = unpack_raw(&l->im->archive->index, place, &is_own, e);
	int result = raw >= 0 ? fill(l, raw, place, b, e) : -1;

	if (raw >= 0 && is_own)
		close(raw);
	return result == 0 ? 0 : err_prefix(e, "%s: layer %zu", l->im->file, i + 1);
}

/*
 * The job for layer `i`. A layer that is not compressed was opened before the job
 * started, unless there are too many files to open.
 */
static void prepare(void *arg, size_t i)
{
	struct image_layers *l = arg;
	struct one *one = &l->one[i];

	if (l->first[i] != i)
		return;
	if (!one->is_plain)
		one->result = fetch(l, i, &one->bytes, &one->why);
	if (one->result == 0 && l->verify)
		one->result =
		    image_layer_read(l->im, i, &one->bytes, NULL, NULL, &one->why);
}

/*
 * Opens a layer, and keeps it open if it is not compressed. Of a directory, only so many
 * layers are kept open as the spool adopts.
 */
static void open_plain(struct image_layers *l, size_t i)
{
	const struct image *im = l->im;
	const struct unpack_place *place = im->layer[i].place;
	struct one *one = &l->one[i];
	struct image_bytes *b = &one->bytes;
	struct err unused;

	b->offset = place->offset;
	b->size = place->size;
	b->fd = unpack_raw(&im->archive->index, place, &b->is_own, &unused);
	if (b->fd < 0)
		return; /* the job for this layer reports the reason */
	one->is_plain = !unpack_is_compressed(b->fd, b->offset, b->size);
	if (one->is_plain && b->is_own)
		one->is_plain = spool_adopt(&l->spool, b->fd);
	if (one->is_plain)
		return;
	image_layer_close(b);
	b->fd = -1;
}

/* For each layer, the index of the first layer with the same blob. */
static size_t *find_first(const struct image *im)
{
	size_t *first = mem_zero(im->n, sizeof *first);

	for (size_t i = 0; i < im->n; i++)
		while (im->layer[first[i]].place != im->layer[i].place)
			first[i]++;
	return first;
}

struct image_layers *image_layers_open(const struct image *im, bool verify)
{
	struct image_layers *l = mem_zero(1, sizeof *l);

	l->im = im;
	l->verify = verify;
	l->one = mem_zero(im->n, sizeof *l->one);
	l->first = find_first(im);
	spool_init(&l->spool);
	for (size_t i = 0; i < im->n; i++) {
		l->one[i].bytes.fd = -1;
		if (l->first[i] == i)
			open_plain(l, i);
	}
	l->pool = pool_start(im->n, prepare, l);
	return l;
}

int image_layers_get(struct image_layers *l, size_t i, struct image_bytes *b,
		     struct err *e)
{
	size_t first = l->first[i];
	struct one *one = &l->one[first];

	if (!one->is_plain) {
		pool_wait(l->pool, first);
		if (one->result < 0)
			return err_set(e, "%s", one->why.text);
	}
	*b = one->bytes;
	return 0;
}

int image_layers_check(struct image_layers *l, struct err *e)
{
	const struct image_layer *layer = l->im->layer;

	for (size_t i = 0; i < l->im->n; i++) {
		size_t first = l->first[i];
		pool_wait(l->pool, first);
		if (l->one[first].result < 0)
			return err_set(e, "%s", l->one[first].why.text);
		if (l->verify && strcmp(layer[i].diff_id, layer[first].diff_id) != 0)
			return wrong_digest(l->im, i, layer[first].diff_id, e);
	}
	return 0;
}

void image_layers_release(struct image_layers *l)
{
	if (l == NULL)
		return;
	pool_release(l->pool);
	spool_release(&l->spool);
	free(l->one);
	free(l->first);
	free(l);
}
