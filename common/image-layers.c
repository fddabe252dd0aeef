#include "image.h"

#include "err.h"
#include "mem.h"
#include "pool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
		one->is_plain = !unpack_is_compressed(&im->archive, place);
		if (one->is_plain)
			one->bytes = (struct image_bytes){.fd = im->archive.fd,
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
