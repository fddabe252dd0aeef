#include "plan/ordering.h"

#include "base/mem.h"
#include "plan/adjacency.h"
#include "plan/affinity.h"
#include "plan/plan.h"
#include "store/graph.h"

#include <stdlib.h>
#include <string.h>

struct ordered_layer {
	const char **path; /* in byte order */
	size_t n;
};

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void ordering_plan(const struct graph *g, const struct adjacency *r,
		   const struct affinity *k, const uint32_t *group, const bool *in,
		   struct plan *p)
{
	struct ordered_layer *layer = mem_zero(k->n, sizeof *layer);
	const char **path = mem_zero(k->n_paths, sizeof *path), **next = path;

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
			l->path[l->n++] = name;
		}
	for (size_t i = 0; i < k->n; i++) {
		if (layer[i].n == 0)
			continue;
		qsort(layer[i].path, layer[i].n, sizeof *layer[i].path, compare_paths);
	}
	for (size_t i = 0; i < k->n; i++) {
		for (size_t at = 0; at < layer[i].n; at++) {
			const char *name = layer[i].path[at];
			plan_add(p, strset_find(&g->paths, name, strlen(name)));
		}
		plan_close(p);
	}
	free(path);
	free(layer);
}
