#include "plan/transfer.h"

#include "base/mem.h"
#include "plan/adjacency.h"
#include "plan/affinity.h"
#include "plan/cluster.h"
#include "plan/ordering.h"
#include "plan/previous.h"

#include <stdlib.h>

/*
 * The weight of sharing with other images against small updates. With many layers, both
 * are possible. With few layers, large paths with their own layers are what images share.
 * The numbers were measured; see dt-plans(7).
 */
static const double sharing_layers = 7, sharing_max = 1.2;

/* Returns the earlier layer of each atom: that of its first path which had a layer. */
static uint32_t *layers_before(const struct affinity *k, const struct adjacency *r,
			       const uint32_t *previous)
{
	uint32_t *before = mem_zero(k->n, sizeof *before);

	for (size_t i = 0; i < k->n; i++) {
		before[i] = CLUSTER_ALONE;
		for (size_t at = k->first[i];
		     before[i] == CLUSTER_ALONE && at < k->first[i + 1]; at++)
			if (previous[r->node[k->place[at]]] != PREVIOUS_NONE)
				before[i] = previous[r->node[k->place[at]]];
	}
	return before;
}

int transfer_plan(const struct graph *g, size_t limit, const double *weight,
		  const uint32_t *previous, struct plan *p, struct err *e)
{
	struct adjacency r;
	struct affinity k;

	if (adjacency_init(&r, g, e) < 0) {
		adjacency_release(&r);
		return -1;
	}
	affinity_init(&k, g, &r, weight, NULL);
	uint32_t *group = mem_zero(k.n, sizeof *group);
	double sharing = sharing_layers / (double)limit;
	sharing *= sharing;
	uint32_t *before = previous == NULL ? NULL : layers_before(&k, &r, previous);
	cluster_atoms(&k, limit, sharing < sharing_max ? sharing : sharing_max, before,
		      group);
	free(before);
	ordering_plan(g, &r, &k, group, NULL, p);
	free(group);
	affinity_release(&k);
	adjacency_release(&r);
	return 0;
}
