#include "plan/ordering.h"

#include "base/mem.h"
#include "plan/adjacency.h"
#include "plan/affinity.h"
#include "plan/plan.h"
#include "store/graph.h"

#include <stdlib.h>
#include <string.h>

struct ordered_layer {
	double chance;
	const char **path; /* in byte order */
	const char *first; /* first path in the order of plans */
	size_t n;
};

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_layers(const void *a, const void *b)
{
	const struct ordered_layer *x = a, *y = b;

	if (x->n == 0 || y->n == 0)
		return x->n == 0 ? y->n != 0 : -1;
	if (x->chance != y->chance)
		return x->chance < y->chance ? -1 : 1;
	return affinity_compare(x->first, y->first);
}

void ordering_plan(const struct graph *g, const struct adjacency *r,
		   const struct affinity *k, const uint32_t *group, const bool *in,
		   struct plan *p)
{
	struct ordered_layer *layer = mem_zero(k->n, sizeof *layer);
	const char **path = mem_zero(k->n_paths, sizeof *path), **next = path;
	uint64_t *row = mem_zero(k->words, sizeof *row);

	for (size_t i = 0; i < k->n; i++)
		layer[group[i]].n += k->first[i + 1] - k->first[i];
	for (size_t i = 0; i < k->n; i++) {
		layer[i].path = next;
		next += layer[i].n;
		layer[i].n = 0;
	}
	for (size_t i = 0; i < k->n; i++)
		for (size_t at = k->first[i]; at < k->first[i + 1]; at++) {
			struct ordered_layer *l = &layer[group[i]];
			uint32_t node = r->node[k->place[at]];
			const char *name = g->paths.name[node];
			if (in != NULL && !in[node])
				continue;
			if (l->n == 0 || affinity_compare(name, l->first) < 0)
				l->first = name;
			l->path[l->n++] = name;
		}
	for (size_t i = 0; i < k->n; i++) {
		if (layer[i].n == 0)
			continue;
		memset(row, 0, k->words * sizeof *row);
		for (size_t a = 0; a < k->n; a++)
			for (size_t w = 0; group[a] == i && w < k->words; w++)
				row[w] |= k->update[a * k->words + w];
		layer[i].chance = affinity_weigh(k, row);
		qsort(layer[i].path, layer[i].n, sizeof *layer[i].path, compare_paths);
	}
	qsort(layer, k->n, sizeof *layer, compare_layers);
	for (size_t i = 0; i < k->n; i++) {
		for (size_t at = 0; at < layer[i].n; at++) {
			const char *name = layer[i].path[at];
			plan_add(p, strset_find(&g->paths, name, strlen(name)));
		}
		plan_close(p);
	}
	free(row);
	free(path);
	free(layer);
}
