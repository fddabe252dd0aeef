/*
 * gunzip: uncompress a gzip stream (RFC 1952) as it arrives.
 *
 * The caller passes the compressed bytes in pieces of any size, for example during a
 * download:
 *
 *	struct gunzip *g = gunzip_new(write_to_file, &file);
 *	for each piece: gunzip_add(g, data, len, &e);
 *	gunzip_end(g, &e);
 *
 * All members of a file form one stream. The CRC and length of each member are checked.
 * Zeros after the last member are ignored, as gzip(1) does; other data there is an error.
 *
 * An engine does the work inside one member. The Makefile selects the engine of a
 * program: ISA-L (gunzip-isal.c), or zlib (gunzip-zlib.c) if ISA-L is not available.
 */
#ifndef DT_GUNZIP_H
#define DT_GUNZIP_H

#include <stddef.h>

struct err;
struct gunzip;

/*
 * Returns a new stream, which the caller releases. Uncompressed data goes to write(arg,
 * data, len, e) in pieces of at least one byte. write() returns 0, or -1 with the reason
 * in `e`. gunzip_release() accepts NULL.
 */
struct gunzip *gunzip_new(int (*write)(void *arg, const void *data, size_t len,
				       struct err *e),
			  void *arg);
void gunzip_release(struct gunzip *g);

/*
 * Uncompresses the next `len` bytes. Returns 0, or -1 with the reason in `e`. After -1
 * the stream can only be released.
 */
int gunzip_add(struct gunzip *g, const void *data, size_t len, struct err *e);

/*
 * Ends the stream. Returns 0, or -1 with the reason in `e` if the stream is truncated or
 * empty.
 */
int gunzip_end(struct gunzip *g, struct err *e);

/* The interface of an engine. */
struct gunzip_engine;

struct gunzip_engine *gunzip_engine_new(void);
void gunzip_engine_release(struct gunzip_engine *x);

/* Prepares for the first byte of a member. */
void gunzip_engine_begin(struct gunzip_engine *x);

/*
 * Uncompresses from *in to `out`. Advances *in and reduces *in_len by the bytes that were
 * used. *out_len is the room in `out` and becomes the number of bytes written. Returns:
 *
 * - 1 at the end of the member, if its CRC and length are correct;
 * - 0 if all input was used or the room is full;
 * - -1 with the reason in `e` on an error.
 */
int gunzip_engine_step(struct gunzip_engine *x, const unsigned char **in, size_t *in_len,
		       unsigned char *out, size_t *out_len, struct err *e);

#endif
