#include "image.h"

#include "err.h"
#include "io.h"
#include "mem.h"
#include "pool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024 };

int image_layer_open(const struct image *im, size_t i, struct image_bytes *b,
		     struct err *e)
{
	struct err why;

	b->fd = unpack_plain(&im->archive->index, im->layer[i].place, &b->offset,
			     &b->size, &b->is_own, &why);
	if (b->fd < 0)
		return err_set(e, "%s: layer %zu: %s", im->file, i + 1, why.text);
	return 0;
}

void image_layer_close(struct image_bytes *b)
{
	if (b->is_own)
		close(b->fd);
}

int image_layer_write(const struct image *im, size_t i, const struct image_bytes *b,
		      int out, struct err *e)
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
			result = err_set(e, "%s: layer %zu is cut off", im->file, i + 1);
			break;
		}
		digest_update(&digest, block, (size_t)n);
		if (out >= 0 && io_write(out, block, (size_t)n) < 0)
			result = err_set_errno(e, "%s", io_output());
		at += n;
		left -= (uint64_t)n;
	}
	digest_hex(&digest, hex);
	digest_release(&digest);
	free(block);
	if (result == 0 && strcmp(hex, im->layer[i].diff_id) != 0)
		result = err_set(e, "%s: layer %zu has the digest %s, not its diff_id %s",
				 im->file, i + 1, hex, im->layer[i].diff_id);
	return result;
}

/* --- all at once --- */

struct one {
	struct image_bytes bytes;
	bool is_plain; /* it was not compressed */
	struct err why;
	int result;
};

struct image_layers {
	const struct image *im;
	bool verify;
	struct one *one;
	struct pool *pool;
};

/* A layer in the archive is ready at once; what is compressed, after its job. */
static void prepare(void *arg, size_t i)
{
	struct image_layers *l = arg;
	struct one *one = &l->one[i];

	if (!one->is_plain)
		one->result = image_layer_open(l->im, i, &one->bytes, &one->why);
	if (one->result == 0 && l->verify)
		one->result = image_layer_write(l->im, i, &one->bytes, -1, &one->why);
}

struct image_layers *image_layers_open(const struct image *im, bool verify)
{
	struct image_layers *l = mem_zero(1, sizeof *l);

	l->im = im;
	l->verify = verify;
	l->one = mem_zero(im->n, sizeof *l->one);
	for (size_t i = 0; i < im->n; i++) {
		struct one *one = &l->one[i];
		const struct unpack_place *place = im->layer[i].place;
		one->bytes.fd = -1;
		one->is_plain = !unpack_is_compressed(&im->archive->index, place);
		if (one->is_plain)
			one->bytes = (struct image_bytes){.fd = im->archive->index.fd,
							  .offset = place->offset,
							  .size = place->size};
	}
	l->pool = pool_start(im->n, prepare, l);
	return l;
}

int image_layers_get(struct image_layers *l, size_t i, struct image_bytes *b,
		     struct err *e)
{
	struct one *one = &l->one[i];

	if (!one->is_plain) {
		pool_wait(l->pool, i);
		if (one->result < 0)
			return err_set(e, "%s", one->why.text);
	}
	*b = one->bytes;
	return 0;
}

int image_layers_check(struct image_layers *l, struct err *e)
{
	for (size_t i = 0; i < l->im->n; i++) {
		pool_wait(l->pool, i);
		if (l->one[i].result < 0)
			return err_set(e, "%s", l->one[i].why.text);
	}
	return 0;
}

void image_layers_release(struct image_layers *l)
{
	if (l == NULL)
		return;
	pool_release(l->pool);
	for (size_t i = 0; i < l->im->n; i++)
		if (l->one[i].bytes.fd >= 0)
			image_layer_close(&l->one[i].bytes);
	free(l->one);
	free(l);
}
