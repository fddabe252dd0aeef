#include "store/why.h"

#include "base/buf.h"
#include "base/edges.h"
#include "base/mem.h"
#include "store/graph.h"

#include <stdlib.h>
#include <string.h>

/* The distance of a node that does not need the target. */
#define FAR UINT32_MAX

/* Returns for each node the length of its shortest chain, in references. */
static uint32_t *distances(const struct graph *g, uint32_t target)
{
	size_t n = g->paths.n, done = 0, queued = 0;
	uint32_t *distance = mem_zero(n, sizeof *distance);
	uint32_t *queue = mem_zero(n, sizeof *queue);
	struct edges up;

	graph_referrers(g, &up);
	for (size_t i = 0; i < n; i++)
		distance[i] = FAR;
	distance[target] = 0;
	queue[queued++] = target;
	while (done < queued) {
		uint32_t id = queue[done++];
		for (size_t k = up.first[id]; k < up.first[id + 1]; k++) {
			if (distance[up.to[k]] != FAR)
				continue;
			distance[up.to[k]] = distance[id] + 1;
			queue[queued++] = up.to[k];
		}
	}
	edges_release(&up);
	free(queue);
	return distance;
}

static void write_chain(const struct graph *g, const uint32_t *distance, uint32_t id,
			struct buf *out)
{
	buf_addf(out, "%s\n", g->paths.name[id]);
	while (distance[id] > 0) {
		const struct graph_node *node = &g->node[id];
		const char *first = NULL;
		uint32_t next = id;
		for (size_t k = 0; k < node->n_refs; k++) {
			const char *path = g->paths.name[node->refs[k]];
			if (distance[node->refs[k]] != distance[id] - 1 ||
			    (first != NULL && strcmp(first, path) < 0))
				continue;
			first = path;
			next = node->refs[k];
		}
		id = next;
		buf_addf(out, "%s\n", first);
	}
}

static int compare(const void *a, const void *b, void *names)
{
	char **name = names;

	return strcmp(name[*(const uint32_t *)a], name[*(const uint32_t *)b]);
}

void why_write(const struct graph *g, const bool *is_root, uint32_t target,
	       struct buf *out)
{
	uint32_t *distance = distances(g, target);
	uint32_t *root = mem_zero(g->paths.n, sizeof *root);
	size_t n = 0;

	for (size_t i = 0; i < g->paths.n; i++)
		if (is_root[i] && distance[i] != FAR)
			root[n++] = (uint32_t)i;
	qsort_r(root, n, sizeof *root, compare, g->paths.name);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_addch(out, '\n');
		write_chain(g, distance, root[i], out);
	}
	free(distance);
	free(root);
}
