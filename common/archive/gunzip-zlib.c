#include "archive/gunzip.h"

#include "base/err.h"
#include "base/mem.h"

#include <limits.h>
#include <stdlib.h>
#define ZLIB_CONST /* declares the input as const */
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16 }; /* largest window; 16 selects the gzip format */

struct gunzip_engine {
	z_stream stream;
};

struct gunzip_engine *gunzip_engine_new(void)
{
	struct gunzip_engine *x = mem_zero(1, sizeof *x);

	if (inflateInit2(&x->stream, GZIP_WINDOW) != Z_OK)
		die("out of memory");
	return x;
}

void gunzip_engine_release(struct gunzip_engine *x)
{
	inflateEnd(&x->stream);
	free(x);
}

void gunzip_engine_begin(struct gunzip_engine *x)
{
	inflateReset(&x->stream);
}

int gunzip_engine_step(struct gunzip_engine *x, const unsigned char **in, size_t *in_len,
		       unsigned char *out, size_t *out_len, struct err *e)
{
	z_stream *s = &x->stream;
	uInt given = *in_len < UINT_MAX ? (uInt)*in_len : UINT_MAX;
	uInt room = *out_len < UINT_MAX ? (uInt)*out_len : UINT_MAX;

	s->next_in = *in;
	s->avail_in = given;
	s->next_out = out;
	s->avail_out = room;
	int result = inflate(s, Z_NO_FLUSH);
	/* Z_BUF_ERROR: more input or more room is needed. */
	if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
		return err_set(e, "broken gzip: %s",
			       s->msg != NULL ? s->msg : zError(result));
	*in = s->next_in;
	*in_len -= given - s->avail_in;
	*out_len = room - s->avail_out;
	return result == Z_STREAM_END;
}
