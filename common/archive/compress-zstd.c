#include "archive/compress.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/pool.h"

#include <stdlib.h>
#include <zstd.h>

/*
 * libzstd splits the stream into jobs and compresses them in parallel. The job size and
 * the overlap are fixed, because the output depends on them and must not depend on the
 * number of workers. By default, jobs are larger and overlap less, which needs half as
 * much memory again and compresses no better. At least one worker is needed, because
 * libzstd does not split the stream without workers.
 */
enum {
	DEFAULT = 3,
	JOB = 4 << 20,
	OVERLAP_ALL = 9, /* each job sees a complete window of earlier data */
	WORKERS_MAX = 4,
};

struct zstd {
	struct compress compress;
	ZSTD_CCtx *z;
	int (*write)(void *arg, const void *data, size_t len, struct err *e);
	void *arg;
	size_t room;
	char *out;
};

static int step(struct zstd *s, ZSTD_inBuffer *in, ZSTD_EndDirective what, size_t *left,
		struct err *e)
{
	ZSTD_outBuffer out = {s->out, s->room, 0};

	*left = ZSTD_compressStream2(s->z, &out, in, what);
	if (ZSTD_isError(*left))
		return err_set(e, "zstd: %s", ZSTD_getErrorName(*left));
	return out.pos > 0 ? s->write(s->arg, s->out, out.pos, e) : 0;
}

static int zstd_add(struct compress *c, const void *data, size_t len, struct err *e)
{
	ZSTD_inBuffer in = {data, len, 0};
	size_t left;

	while (in.pos < in.size)
		if (step((struct zstd *)c, &in, ZSTD_e_continue, &left, e) < 0)
			return -1;
	return 0;
}

static int zstd_end(struct compress *c, struct err *e)
{
	ZSTD_inBuffer in = {"", 0, 0};
	size_t left;

	do {
		if (step((struct zstd *)c, &in, ZSTD_e_end, &left, e) < 0)
			return -1;
	} while (left > 0);
	return 0;
}

/* libzstd begins another frame by itself. */
static void zstd_restart(struct compress *c, void *arg)
{
	((struct zstd *)c)->arg = arg;
}

static void zstd_release(struct compress *c)
{
	struct zstd *s = (struct zstd *)c;

	ZSTD_freeCCtx(s->z);
	free(s->out);
	free(s);
}

static void set(struct zstd *s, ZSTD_cParameter parameter, int value)
{
	size_t result = ZSTD_CCtx_setParameter(s->z, parameter, value);

	if (ZSTD_isError(result))
		die("zstd: %s", ZSTD_getErrorName(result));
}

struct compress *compress_zstd(int level,
			       int (*write)(void *arg, const void *data, size_t len,
					    struct err *e),
			       void *arg)
{
	struct zstd *s = mem_zero(1, sizeof *s);
	size_t cores = pool_cores();

	s->compress = (struct compress){zstd_add, zstd_end, zstd_restart, zstd_release};
	s->write = write;
	s->arg = arg;
	s->room = ZSTD_CStreamOutSize();
	s->out = mem_resize(NULL, s->room, 1);
	s->z = ZSTD_createCCtx();
	if (s->z == NULL)
		die("out of memory");
	set(s, ZSTD_c_compressionLevel, level != 0 ? level : DEFAULT);
	set(s, ZSTD_c_checksumFlag, 1);
	set(s, ZSTD_c_nbWorkers, cores < WORKERS_MAX ? (int)cores : WORKERS_MAX);
	set(s, ZSTD_c_jobSize, JOB);
	set(s, ZSTD_c_overlapLog, OVERLAP_ALL);
	return &s->compress;
}
