/*
 * gunzip: gzip, RFC 1952, as it comes in.
 *
 * All members of a file are one stream. The CRC and length of each are checked. Zeroes
 * behind the last member are passed over, as gzip(1) does; anything else there is an
 * error.
 *
 * What uncompresses is an engine, of which a program has one, chosen in the Makefile:
 * ISA-L (gunzip-isal.c), or zlib (gunzip-zlib.c) where there is no ISA-L.
 */
#ifndef DT_GUNZIP_H
#define DT_GUNZIP_H

#include <stddef.h>

struct err;
struct gunzip;

/*
 * A stream of which write(arg, data, len, e) gets what is uncompressed, in pieces of at
 * least a byte; it returns 0, or -1 and why. The caller releases it; NULL is a no-op.
 */
struct gunzip *gunzip_new(int (*write)(void *arg, const void *data, size_t len,
				       struct err *e),
			  void *arg);
void gunzip_release(struct gunzip *g);

/* Uncompresses the next `len` bytes. Returns 0, or -1 and why; then nothing may follow.
 */
int gunzip_add(struct gunzip *g, const void *data, size_t len, struct err *e);

/* No more bytes come. Returns 0, or -1 and why: it was truncated, or empty. */
int gunzip_end(struct gunzip *g, struct err *e);

/* What an engine is. */
struct gunzip_engine;

struct gunzip_engine *gunzip_engine_new(void);
void gunzip_engine_release(struct gunzip_engine *x);

/* What comes next is the first byte of a member. */
void gunzip_engine_begin(struct gunzip_engine *x);

/*
 * Uncompresses from *in to `out`, advances *in by what was taken of its *in_len bytes,
 * and sets *out_len, the room, to what was written. Returns 1 at the end of the member,
 * whose CRC and length are right; 0 if it took all input or filled the room; -1 and why.
 */
int gunzip_engine_step(struct gunzip_engine *x, const unsigned char **in, size_t *in_len,
		       unsigned char *out, size_t *out_len, struct err *e);

#endif
