#include "archive/gunzip.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>

enum { ROOM = 256 << 10 };

/* The position of the next byte in the stream. */
enum place { START, IN_MEMBER, AFTER_MEMBER, IN_PADDING };

struct gunzip {
	struct gunzip_engine *engine;
	enum place place;
	int (*write)(void *arg, const void *data, size_t len, struct err *e);
	void *arg;
	unsigned char room[ROOM];
};

struct gunzip *gunzip_new(int (*write)(void *arg, const void *data, size_t len,
				       struct err *e),
			  void *arg)
{
	struct gunzip *g = mem_zero(1, sizeof *g);

	g->engine = gunzip_engine_new();
	g->write = write;
	g->arg = arg;
	return g;
}

void gunzip_release(struct gunzip *g)
{
	if (g == NULL)
		return;
	gunzip_engine_release(g->engine);
	free(g);
}

/* Uncompresses up to the end of the member or the end of the input. */
static int add_to_member(struct gunzip *g, const unsigned char **in, size_t *len,
			 struct err *e)
{
	for (;;) {
		size_t got = ROOM;
		int result = gunzip_engine_step(g->engine, in, len, g->room, &got, e);
		if (result < 0)
			return -1;
		if (got > 0 && g->write(g->arg, g->room, got, e) < 0)
			return -1;
		if (result == 1) {
			g->place = AFTER_MEMBER;
			return 0;
		}
		if (*len == 0 && got < ROOM)
			return 0;
	}
}

/* Examines the first byte after a member or of the stream. */
static int begin(struct gunzip *g, unsigned char first, struct err *e)
{
	if (first == 0 && g->place == AFTER_MEMBER) {
		g->place = IN_PADDING;
		return 0;
	}
	if (first != 0x1f)
		return err_set(e, g->place == START
				      ? "not gzip"
				      : "extra data after the last gzip member");
	gunzip_engine_begin(g->engine);
	g->place = IN_MEMBER;
	return 0;
}

int gunzip_add(struct gunzip *g, const void *data, size_t len, struct err *e)
{
	const unsigned char *in = data;

	while (len > 0) {
		if (g->place == IN_PADDING) {
			if (*in != 0)
				return err_set(e,
					       "extra data after the last gzip member");
			in++;
			len--;
			continue;
		}
		if (g->place != IN_MEMBER && begin(g, *in, e) < 0)
			return -1;
		if (g->place == IN_MEMBER && add_to_member(g, &in, &len, e) < 0)
			return -1;
	}
	return 0;
}

int gunzip_end(struct gunzip *g, struct err *e)
{
	if (g->place == START)
		return err_set(e, "empty, not gzip");
	if (g->place == IN_MEMBER)
		return err_set(e, "truncated in the middle of a gzip member");
	return 0;
}
