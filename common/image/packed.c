#include "image/packed.h"

#include "archive/unpack.h"
#include "base/io.h"
#include "base/progress.h"
#include "image/image.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void init(struct packed *p, int fd, off_t at, bool is_own)
{
	p->fd = fd;
	p->at = at;
	p->is_own = is_own;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->grew, NULL);
	digest_init(&p->digest);
}

int packed_begin(struct packed *p, struct err *e)
{
	int fd = io_tmpfile();

	if (fd < 0)
		return err_set_errno(e, "cannot write a temporary file in TMPDIR");
	init(p, fd, 0, true);
	return 0;
}

void packed_release(struct packed *p)
{
	if (p->digest.state == NULL)
		return;
	if (p->is_own)
		close(p->fd);
	digest_release(&p->digest);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->grew);
	memset(p, 0, sizeof *p);
}

/* --- filling --- */

int packed_append(void *arg, const void *data, size_t len, struct err *e)
{
	struct packed *p = arg;

	if (io_write(p->fd, data, len) < 0)
		return err_set_errno(e, "cannot write a temporary file in TMPDIR");
	digest_update(&p->digest, data, len);
	pthread_mutex_lock(&p->lock);
	p->size += len;
	bool is_marked = p->reached != NULL && p->size >= p->mark;
	pthread_cond_broadcast(&p->grew);
	pthread_mutex_unlock(&p->lock);
	if (is_marked) {
		void (*reached)(void *) = p->reached;
		p->reached = NULL;
		reached(p->arg);
	}
	return 0;
}

int packed_end(struct packed *p, int result, const struct err *why)
{
	digest_hex(&p->digest, p->hex);
	pthread_mutex_lock(&p->lock);
	p->state = result == 0 ? PACKED_COMPLETE : PACKED_FAILED;
	if (result < 0)
		p->why = *why;
	progress_step(p->task, PACKED_USE, p->size);
	pthread_cond_broadcast(&p->grew);
	pthread_mutex_unlock(&p->lock);
	return result;
}

int packed_text(struct packed *p, const void *data, size_t len, struct err *e)
{
	return packed_end(p, packed_append(p, data, len, e), e);
}

/* A stream that goes through a compressor. */
struct passing {
	struct compress *compress;
	struct progress_task *task;
};

static int add(void *arg, const void *data, size_t len, struct err *e)
{
	struct passing *x = arg;

	progress_add(x->task, PACKED_FILL, len);
	return x->compress->add(x->compress, data, len, e);
}

struct compress *packed_compressor(enum compress_format format, int level)
{
	return compress_new(format, level, packed_append, NULL);
}

static int compress_layer(struct packed *p, const struct image *im, size_t i,
			  struct compress *c, struct err *e)
{
	struct passing x = {c, p->task};
	struct image_bytes bytes;

	if (image_layer_open(im, i, &bytes, e) < 0)
		return -1;
	progress_step(p->task, PACKED_FILL, bytes.size);
	c->restart(c, p);
	int result = image_layer_read(im, i, &bytes, add, &x, e);
	if (result == 0)
		result = c->end(c, e);
	image_layer_close(&bytes);
	return result;
}

int packed_layer(struct packed *p, const struct image *im, size_t i, struct compress *c,
		 struct err *e)
{
	return packed_end(p, compress_layer(p, im, i, c, e), e);
}

/* --- data that is there --- */

/* The uncompressed bytes of a blob. */
struct reading {
	struct digest digest;
	struct progress_task *task;
};

static int count(void *arg, const void *data, size_t len, struct err *e)
{
	struct reading *r = arg;

	digest_update(&r->digest, data, len);
	progress_add(r->task, PACKED_FILL, len);
	return unpack_charge(len, "a layer", e);
}

static int check_diff_id(const struct packed *p, const char *diff_id, struct err *e)
{
	char hex[DIGEST_HEX + 1];
	struct reading r = {.task = p->task};

	digest_init(&r.digest);
	int result = unpack_inflate(p->fd, p->at, p->size, count, &r, "a layer", e);
	digest_hex(&r.digest, hex);
	digest_release(&r.digest);
	if (result == 0 && !digest_is_same(hex, diff_id))
		result = err_set(e,
				 "layer sha256:%s unpacks to sha256:%s, not to its "
				 "diff_id sha256:%s",
				 p->hex, hex, diff_id);
	return result;
}

int packed_member(struct packed *p, const struct unpack_index *x,
		  const struct unpack_place *place, const char *hex, const char *diff_id,
		  struct err *e)
{
	bool is_own;
	int fd = unpack_raw(x, place, &is_own, e);

	if (fd < 0)
		return -1;
	init(p, fd, place->offset, is_own);
	p->size = place->size;
	if (digest_span(fd, p->at, p->size, p->hex) < 0)
		return err_set_errno(e, "blob sha256:%s", hex);
	if (!digest_is_same(p->hex, hex))
		return err_set(e, "blob sha256:%s has the digest sha256:%s", hex, p->hex);
	p->state = PACKED_COMPLETE;
	int result = diff_id != NULL ? check_diff_id(p, diff_id, e) : 0;
	progress_step(p->task, PACKED_USE, p->size);
	return result;
}

int packed_file(struct packed *p, int fd, struct err *e)
{
	struct stat st;

	init(p, fd, 0, false);
	if (fstat(fd, &st) < 0 || digest_span(fd, 0, (uint64_t)st.st_size, p->hex) < 0)
		return err_set_errno(e, "cannot be read");
	p->size = (uint64_t)st.st_size;
	p->state = PACKED_COMPLETE;
	return 0;
}

int packed_wait(struct packed *p, uint64_t least, uint64_t *size, struct err *e)
{
	pthread_mutex_lock(&p->lock);
	while (p->state == PACKED_GROWS && p->size < least)
		pthread_cond_wait(&p->grew, &p->lock);
	*size = p->size;
	int result = p->state == PACKED_COMPLETE ? 1 : 0;
	if (p->state == PACKED_FAILED) {
		*e = p->why;
		result = -1;
	}
	pthread_mutex_unlock(&p->lock);
	return result;
}
