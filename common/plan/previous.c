#include "plan/previous.h"

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/strset.h"
#include "plan/plan.h"
#include "store/graph.h"
#include "store/store.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT, NAMED, UNVERSIONED, N_WAYS };

/* Strings with the first path that has each of them, and the layer of this path. */
struct index {
	struct strset names;
	struct place {
		uint32_t path, layer; /* `path` is a number in the index EXACT */
	} * place;
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
	size_t exact = index[EXACT].names.n;

	(void)e;
	for (int way = 0; way < N_WAYS; way++) {
		struct index *x = &index[way];
		size_t len;
		const char *name = part(path, way, &len);
		size_t before = x->names.n;
		uint32_t id = strset_add(&x->names, name, len);
		if (x->names.n == before)
			continue;
		x->place = mem_grow(x->place, &x->cap, x->names.n, sizeof *x->place);
		x->place[id] = (struct place){(uint32_t)exact, (uint32_t)layer};
	}
	return 0;
}

/* Returns the first match of a path, or NULL. */
static const struct place *find(const struct index *index, const char *path)
{
	for (int way = 0; way < N_WAYS; way++) {
		size_t len;
		const char *name = part(path, way, &len);
		uint32_t id = strset_find(&index[way].names, name, len);
		if (id != STRSET_NONE)
			return &index[way].place[id];
	}
	return NULL;
}

static bool is_same(const struct previous *p, const struct graph *g, size_t node)
{
	return p->path[node] != NULL && strcmp(p->path[node], g->paths.name[node]) == 0;
}

static bool has_changed(const struct previous *p, uint32_t node, char *const *path)
{
	return p->path != NULL && p->path[node] != NULL && path[node] != NULL &&
	       strcmp(p->path[node], path[node]) != 0;
}

static bool is_update(const struct previous *p, const struct graph *g, uint32_t node,
		      char *const *path)
{
	const struct graph_node *n = &g->node[node];

	if (!has_changed(p, node, path))
		return false;
	if (strcmp(store_name(p->path[node]), store_name(path[node])) != 0)
		return true;
	for (size_t i = 0; i < n->n_refs; i++)
		if (has_changed(p, n->refs[i], path))
			return false;
	return true;
}

static void release_paths(char **path, size_t n)
{
	for (size_t i = 0; path != NULL && i < n; i++)
		free(path[i]);
	free(path);
}

void previous_release(struct previous *p)
{
	release_paths(p->path, p->n);
	free(p->layer);
	free(p->updates);
	free(p->stays);
	*p = (struct previous){0};
}

/*
 * Finds the nodes whose layer is unchanged: the last plan has as many paths in it as the
 * graph.
 */
static void find_stays(struct previous *p, const struct graph *g,
		       const struct index *index)
{
	const struct index *exact = &index[EXACT];
	size_t *left = NULL, cap = 0, n_layers = 0;

	for (size_t i = 0; i < exact->names.n; i++) {
		size_t layer = exact->place[i].layer;
		for (; n_layers <= layer; n_layers++) {
			left = mem_grow(left, &cap, n_layers + 1, sizeof *left);
			left[n_layers] = 0;
		}
		left[layer]++;
	}
	for (size_t i = 0; i < p->n; i++)
		if (p->layer[i] != PREVIOUS_NONE && is_same(p, g, i))
			left[p->layer[i]]--;
	for (size_t i = 0; i < p->n; i++)
		p->stays[i] = p->layer[i] != PREVIOUS_NONE && left[p->layer[i]] == 0 &&
			      is_same(p, g, i);
	free(left);
}

/* Replaces the last plan by the plan in the index. */
static void step(struct previous *p, const struct graph *g, const struct index *index)
{
	size_t n = g->paths.n;
	char **path = mem_zero(n, sizeof *path);

	if (p->layer == NULL) {
		p->layer = mem_zero(n, sizeof *p->layer);
		p->updates = mem_zero(n, sizeof *p->updates);
		p->stays = mem_zero(n, sizeof *p->stays);
		p->n = n;
	}
	for (size_t i = 0; i < n; i++) {
		const struct place *match = find(index, g->paths.name[i]);
		p->layer[i] = match == NULL ? PREVIOUS_NONE : match->layer;
		if (match != NULL)
			path[i] = mem_strdup(index[EXACT].names.name[match->path]);
	}
	for (uint32_t i = 0; i < n; i++)
		p->updates[i] += is_update(p, g, i, path);
	release_paths(p->path, n);
	p->path = path;
	find_stays(p, g, index);
}

int previous_parse(struct previous *p, const struct graph *g, const char *text,
		   size_t len, const char *what, struct err *e)
{
	struct index index[N_WAYS] = {0};
	int result = plan_scan(text, len, what, enter, index, e);

	if (result == 0)
		step(p, g, index);
	for (int way = 0; way < N_WAYS; way++) {
		strset_release(&index[way].names);
		free(index[way].place);
	}
	return result;
}

int previous_read(struct previous *p, const struct graph *g, const char *const *files,
		  size_t n, struct err *e)
{
	int result = 0;

	for (size_t i = 0; i < n && result == 0; i++) {
		const char *what = io_name(files[i]);
		struct buf text = {0};
		result = io_slurp_as(files[i], what, &text, GRAPH_LIMIT, e);
		if (result == 0)
			result = previous_parse(p, g, text.data, text.len, what, e);
		buf_release(&text);
	}
	return result;
}

void previous_weigh(const struct previous *p, double *weight)
{
	for (size_t i = 0; i < p->n; i++)
		weight[i] *= 1 + PREVIOUS_UPDATE * (double)p->updates[i];
}
