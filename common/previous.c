#include "previous.h"

#include "err.h"
#include "graph.h"
#include "kin.h"
#include "mem.h"
#include "names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT, NAMED, UNVERSIONED, N_WAYS };

/* Strings, each with the layer in which it first came. */
struct index {
	struct names names;
	uint32_t *layer;
	size_t cap;
};

/* What of a path is compared in that way. */
static const char *part(const char *path, int way, size_t *len)
{
	const char *name = way == EXACT ? path : kin_name(path);

	*len = strlen(name);
	for (size_t i = 0; way == UNVERSIONED && i < *len; i++)
		if (name[i] == '-' && !isalpha((unsigned char)name[i + 1]))
			*len = i;
	return name;
}

static void enter(struct index *index, const char *path, uint32_t layer)
{
	for (int way = 0; way < N_WAYS; way++) {
		struct index *x = &index[way];
		size_t len;
		const char *name = part(path, way, &len);
		size_t before = x->names.n;
		uint32_t id = names_add(&x->names, name, len);
		if (x->names.n == before)
			continue;
		x->layer = mem_grow(x->layer, &x->cap, x->names.n, sizeof *x->layer);
		x->layer[id] = layer;
	}
}

static int parse_line(struct index *index, const char *at, const char *end,
		      uint32_t layer, struct err *e)
{
	for (;; at++) {
		const char *stop = memchr(at, ' ', (size_t)(end - at));
		if (stop == NULL)
			stop = end;
		if (stop == at)
			return err_set(
			    e, "a line is store paths with single blanks between them");
		char *path = mem_strndup(at, (size_t)(stop - at));
		enter(index, path, layer);
		free(path);
		at = stop;
		if (at == end)
			return 0;
	}
}

static int parse(struct index *index, const char *text, size_t len, const char *what,
		 struct err *e)
{
	const char *at = text, *end = text + len;
	struct err why;

	if (len == 0)
		return err_set(e, "%s: empty, no plan came in", what);
	for (uint32_t line = 1; at < end; line++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		if (stop == NULL)
			return err_set(e, "%s:%u: cut off in mid-line", what, line);
		if (memchr(at, '\0', (size_t)(stop - at)) != NULL)
			return err_set(e, "%s:%u: a NUL byte", what, line);
		if (parse_line(index, at, stop, line - 1, &why) < 0)
			return err_set(e, "%s:%u: %s", what, line, why.text);
		at = stop + 1;
	}
	return 0;
}

int previous_parse(uint32_t *layer, const struct graph *g, const char *text, size_t len,
		   const char *what, struct err *e)
{
	struct index index[N_WAYS] = {0};
	int result = parse(index, text, len, what, e);

	for (size_t i = 0; result == 0 && i < g->paths.n; i++) {
		layer[i] = PREVIOUS_NONE;
		for (int way = 0; way < N_WAYS && layer[i] == PREVIOUS_NONE; way++) {
			size_t n;
			const char *name = part(g->paths.name[i], way, &n);
			uint32_t id = names_find(&index[way].names, name, n);
			if (id != NAMES_NONE)
				layer[i] = index[way].layer[id];
		}
	}
	for (int way = 0; way < N_WAYS; way++) {
		names_release(&index[way].names);
		free(index[way].layer);
	}
	return result;
}
