#include "plan/transfer.h"

#include "base/mem.h"
#include "plan/adjacency.h"
#include "plan/affinity.h"
#include "plan/chain.h"
#include "plan/cluster.h"
#include "plan/ordering.h"
#include "plan/previous.h"
#include "plan/refine.h"

#include <stdlib.h>
#include <string.h>

/*
 * The weights of the parts of the cost; see cluster.h. With many layers, small updates
 * and sharing with other images are both possible, so sharing can have a low weight. With
 * few layers, images can share little. The numbers were measured; see dt-plans(7).
 */
static const double sharing_layers = 7, sharing_max = 0.07, chains = 0.3;

/*
 * Clusters and cuts of the order usually have nearly the same cost. The cut is taken
 * unless it costs more than the clusters by this factor, because its chain is better.
 */
static const double cut_factor = 1.02;

/* The place of an atom in an order that keeps the order of an earlier plan. */
struct spot {
	size_t level;
	uint32_t rank, atom; /* `rank` is the place in a new order */
};

static int compare_spots(const void *a, const void *b)
{
	const struct spot *x = a, *y = b;

	if (x->level != y->level)
		return x->level < y->level ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Returns the earlier layer of each atom. All paths of an atom had the same layer. */
static uint32_t *layers_before(const struct affinity *k, const struct adjacency *r,
			       const uint32_t *previous)
{
	uint32_t *before = mem_zero(k->n, sizeof *before);

	for (size_t i = 0; i < k->n; i++) {
		uint32_t layer = previous[r->node[k->place[k->first[i]]]];
		before[i] = layer == PREVIOUS_NONE ? CLUSTER_ALONE : layer;
	}
	return before;
}

/*
 * Returns a level for each place in the graph, from the bottom. Earlier layers have odd
 * levels. A new path is directly below the lowest path that depends on it, because this
 * path has changed in any case.
 */
static size_t *find_levels(const struct adjacency *r, const uint32_t *previous)
{
	size_t *level = mem_zero(r->n, sizeof *level);

	for (size_t v = r->n; v-- > 0;) {
		uint32_t layer = previous[r->node[v]];
		level[v] = SIZE_MAX - 1;
		for (size_t i = r->up.first[v]; i < r->up.first[v + 1]; i++) {
			size_t other = level[r->up.to[i]];
			other -= other % 2;
			level[v] = other < level[v] ? other : level[v];
		}
		if (layer != PREVIOUS_NONE)
			level[v] = 2 * (size_t)layer + 1;
	}
	return level;
}

/* Changes a new order of the atoms to that of the earlier plan. */
static void order_before(const struct affinity *k, const struct adjacency *r,
			 const uint32_t *previous, uint32_t *order)
{
	size_t *level = find_levels(r, previous);
	struct spot *spot = mem_zero(k->n, sizeof *spot);

	for (size_t i = 0; i < k->n; i++) {
		uint32_t atom = order[i];
		spot[i] = (struct spot){SIZE_MAX, (uint32_t)i, atom};
		for (size_t at = k->first[atom]; at < k->first[atom + 1]; at++)
			if (level[k->place[at]] < spot[i].level)
				spot[i].level = level[k->place[at]];
	}
	qsort(spot, k->n, sizeof *spot, compare_spots);
	for (size_t i = 0; i < k->n; i++)
		order[i] = spot[i].atom;
	free(spot);
	free(level);
}

/* Moves atoms between those of n layers that are not as in the earlier plan. */
static void regroup(const struct affinity *k, const struct adjacency *r,
		    const struct cluster_model *m, size_t n, size_t limit,
		    const uint32_t *before, const bool *stays, uint32_t *group)
{
	size_t n_layers = limit < k->n ? limit : k->n;
	bool *kept = mem_zero(n_layers, sizeof *kept);
	uint32_t *layer = mem_zero(n_layers, sizeof *layer);

	for (size_t i = 0; i < n; i++) {
		kept[i] = true;
		layer[i] = CLUSTER_ALONE;
	}
	for (size_t i = 0; i < k->n; i++) {
		size_t to = group[i];
		if (layer[to] == CLUSTER_ALONE)
			layer[to] = before[i];
		kept[to] = kept[to] && layer[to] == before[i] &&
			   stays[r->node[k->place[k->first[i]]]];
	}
	refine_layers(k, m, n_layers, kept, group);
	free(layer);
	free(kept);
}

static void keep_layers(const struct affinity *k, const struct adjacency *r,
			const struct cluster_model *m, size_t limit,
			const uint32_t *previous, const bool *stays, uint32_t *group)
{
	uint32_t *before = layers_before(k, r, previous);
	uint32_t *order = mem_zero(k->n, sizeof *order);

	chain_order(k, order);
	order_before(k, r, previous, order);
	size_t n = cluster_atoms(k, m, limit, order, before, group);
	if (stays != NULL)
		regroup(k, r, m, n, limit, before, stays, group);
	free(order);
	free(before);
}

static void choose_layers(const struct affinity *k, const struct cluster_model *m,
			  size_t limit, uint32_t *group)
{
	uint32_t *order = mem_zero(k->n, sizeof *order);

	chain_order(k, order);
	size_t n = cluster_atoms(k, m, limit, order, NULL, group);
	if (n < k->n) {
		double cost = refine_layers(k, m, n, NULL, group);
		uint32_t *cut = mem_zero(k->n, sizeof *cut);
		if (refine_cut(k, m, limit, order, cut) &&
		    refine_layers(k, m, limit, NULL, cut) < cost * cut_factor)
			memcpy(group, cut, k->n * sizeof *cut);
		free(cut);
	}
	free(order);
}

int transfer_plan(const struct graph *g, size_t limit, const double *weight,
		  const uint32_t *previous, const bool *stays, struct plan *p,
		  struct err *e)
{
	struct adjacency r;
	struct affinity k;

	if (adjacency_init(&r, g, e) < 0) {
		adjacency_release(&r);
		return -1;
	}
	uint64_t *class = NULL;
	if (previous != NULL) {
		class = mem_zero(r.n, sizeof *class);
		for (size_t i = 0; i < r.n; i++)
			class[i] = previous[i];
	}
	affinity_init(&k, g, &r, weight, class);
	uint32_t *group = mem_zero(k.n, sizeof *group);
	double sharing = sharing_layers / (double)limit;
	sharing *= sharing;
	struct cluster_model m = {sharing < sharing_max ? sharing : sharing_max, chains};
	if (previous == NULL)
		choose_layers(&k, &m, limit, group);
	else
		keep_layers(&k, &r, &m, limit, previous, stays, group);
	ordering_plan(g, &r, &k, group, NULL, p);
	free(group);
	free(class);
	affinity_release(&k);
	adjacency_release(&r);
	return 0;
}
