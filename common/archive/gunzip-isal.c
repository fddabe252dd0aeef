#include "archive/gunzip.h"

#include "base/err.h"
#include "base/mem.h"

#include <isa-l/igzip_lib.h>
#include <stdlib.h>

struct gunzip_engine {
	struct inflate_state state;
};

struct gunzip_engine *gunzip_engine_new(void)
{
	struct gunzip_engine *x = mem_zero(1, sizeof *x);

	isal_inflate_init(&x->state);
	return x;
}

void gunzip_engine_release(struct gunzip_engine *x)
{
	free(x);
}

void gunzip_engine_begin(struct gunzip_engine *x)
{
	isal_inflate_reset(&x->state);
	/* ISA-L parses the header and compares CRC and length with the trailer. */
	x->state.crc_flag = ISAL_GZIP;
}

static const char *reason(int result)
{
	switch (result) {
	case ISAL_INVALID_WRAPPER:
	case ISAL_UNSUPPORTED_METHOD:
		return "the header of a gzip member is wrong";
	case ISAL_INCORRECT_CHECKSUM:
		return "the CRC or length of a gzip member is wrong";
	default:
		return "broken gzip data";
	}
}

int gunzip_engine_step(struct gunzip_engine *x, const unsigned char **in, size_t *in_len,
		       unsigned char *out, size_t *out_len, struct err *e)
{
	struct inflate_state *s = &x->state;
	uint32_t given = *in_len < UINT32_MAX ? (uint32_t)*in_len : UINT32_MAX;
	uint32_t room = *out_len < UINT32_MAX ? (uint32_t)*out_len : UINT32_MAX;

	s->next_in = (uint8_t *)(uintptr_t)*in; /* ISA-L does not write to its input */
	s->avail_in = given;
	s->next_out = out;
	s->avail_out = room;
	int result = isal_inflate(s);
	if (result != ISAL_DECOMP_OK)
		return err_set(e, "%s", reason(result));
	*in = s->next_in;
	*in_len -= given - s->avail_in;
	*out_len = room - s->avail_out;
	return s->block_state == ISAL_BLOCK_FINISH;
}
