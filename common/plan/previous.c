#include "plan/previous.h"

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/strset.h"
#include "plan/plan.h"
#include "store/graph.h"
#include "store/store.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT, NAMED, UNVERSIONED, N_WAYS };

/* Strings with the layer in which each first appears. */
struct index {
	struct strset names;
	uint32_t *layer;
	size_t cap;
};

/* Returns the part of a path that is compared in this way. */
static const char *part(const char *path, int way, size_t *len)
{
	const char *name = way == EXACT ? path : store_name(path);

	*len = strlen(name);
	for (size_t i = 0; way == UNVERSIONED && i < *len; i++)
		if (name[i] == '-' && !isalpha((unsigned char)name[i + 1]))
			*len = i;
	return name;
}

static int enter(void *arg, const char *path, size_t layer, struct err *e)
{
	struct index *index = arg;

	(void)e;
	for (int way = 0; way < N_WAYS; way++) {
		struct index *x = &index[way];
		size_t len;
		const char *name = part(path, way, &len);
		size_t before = x->names.n;
		uint32_t id = strset_add(&x->names, name, len);
		if (x->names.n == before)
			continue;
		x->layer = mem_grow(x->layer, &x->cap, x->names.n, sizeof *x->layer);
		x->layer[id] = (uint32_t)layer;
	}
	return 0;
}

int previous_parse(uint32_t *layer, const struct graph *g, const char *text, size_t len,
		   const char *what, struct err *e)
{
	struct index index[N_WAYS] = {0};
	int result = plan_scan(text, len, what, enter, index, e);

	for (size_t i = 0; result == 0 && i < g->paths.n; i++) {
		layer[i] = PREVIOUS_NONE;
		for (int way = 0; way < N_WAYS && layer[i] == PREVIOUS_NONE; way++) {
			size_t n;
			const char *name = part(g->paths.name[i], way, &n);
			uint32_t id = strset_find(&index[way].names, name, n);
			if (id != STRSET_NONE)
				layer[i] = index[way].layer[id];
		}
	}
	for (int way = 0; way < N_WAYS; way++) {
		strset_release(&index[way].names);
		free(index[way].layer);
	}
	return result;
}

uint32_t *previous_read(const struct graph *g, const char *file, struct err *e)
{
	const char *what = io_name(file);
	uint32_t *layer = mem_zero(g->paths.n, sizeof *layer);
	struct buf text = {0};

	if (io_slurp_as(file, what, &text, GRAPH_LIMIT, e) < 0 ||
	    previous_parse(layer, g, text.data, text.len, what, e) < 0) {
		free(layer);
		layer = NULL;
	}
	buf_release(&text);
	return layer;
}
