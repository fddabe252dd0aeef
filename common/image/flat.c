#include "image/flat.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/progress.h"

static int add_layers(struct flat *m, struct err *e)
{
	struct image_bytes bytes;
	struct buf what = {0};
	size_t n = m->image.n;
	uint64_t read = 0;
	int result = 0;

	rootfs_init(&m->rootfs);
	for (size_t i = 0; i < n && result == 0; i++) {
		buf_clear(&what);
		buf_addf(&what, "%s: layer %zu", m->image.file, i + 1);
		result = image_layers_get(m->layers, i, &bytes, e);
		if (result == 0)
			result = rootfs_add_layer(&m->rootfs, bytes.fd, bytes.offset,
						  bytes.size, what.data, e);
		read += result == 0 ? bytes.size : 0;
		progress("layers", i + 1, n, read, 0);
	}
	progress_end();
	buf_release(&what);
	return result;
}

int flat_open(struct flat *m, const struct image_choice *choice, bool verify,
	      struct err *e)
{
	*m = (struct flat){0};
	if (image_open(&m->image, choice, e) < 0)
		return -1;
	m->layers = image_layers_open(&m->image, verify);
	return add_layers(m, e);
}

int flat_check(struct flat *m, struct err *e)
{
	return m->layers != NULL ? image_layers_check(m->layers, e) : 0;
}

void flat_release(struct flat *m)
{
	rootfs_release(&m->rootfs);
	image_layers_release(m->layers);
	image_release(&m->image);
	*m = (struct flat){0};
}
