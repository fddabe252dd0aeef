#include "plan/cluster.h"

#include "base/mem.h"
#include "plan/affinity.h"
#include "plan/clustering.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * The share f of unwanted bytes at which h is about half of its maximum; see cluster.h.
 */
static const double half = 0.02;

static double cost_of(const struct affinity *k, double sharing, double size, double share,
		      size_t n, double updates, size_t images)
{
	double cost = size * (updates / k->weight);

	if (n > 1) {
		double strangers = 1 - (double)images * share / size;
		if (strangers > 0)
			cost +=
			    sharing * size * strangers * (1 + half) / (strangers + half);
	}
	return cost;
}

double cluster_cost(const struct affinity *k, double sharing,
		    const struct cluster_group *a, const struct cluster_group *b)
{
	return cost_of(k, sharing, a->size + b->size, a->share + b->share, a->n + b->n,
		       affinity_weigh_both(k, a->update, b->update),
		       affinity_count_common(k, a->image, b->image));
}

double cluster_cost_alone(const struct affinity *k, double sharing,
			  const struct cluster_group *a)
{
	return cost_of(k, sharing, a->size, a->share, a->n, affinity_weigh(k, a->update),
		       affinity_count(k, a->image));
}

/*
 * The state of the merging. growth[i * n + j] is the increase of the cost if i and j
 * merge.
 */
struct heap {
	const struct affinity *k;
	const struct cluster_model *m;
	size_t limit;
	struct cluster_group *group;
	struct clustering groups;
	float *growth;
	/*
	 * For each group: its place in the order, and the weight of the updates of its
	 * own paths. For each place: the weight of the updates of all atoms up to this
	 * one, and the size of all atoms below.
	 */
	uint32_t *place;
	double *own, *weight, *below;
};

/*
 * Returns about how much more of the chain is sent if two groups merge. Either the lower
 * one moves up, and more updates send it, or the upper one moves down, and its updates
 * send more. `rises` tells which is better.
 */
static double chain_growth(const struct heap *h, uint32_t i, uint32_t j, bool *rises)
{
	bool is_lower = h->place[i] < h->place[j];
	uint32_t low = is_lower ? i : j, high = is_lower ? j : i;
	uint32_t from = h->place[low], to = h->place[high];
	double up = h->group[low].size * (h->weight[to] - h->weight[from]);
	double down = h->own[high] * (h->below[to] - h->below[from]);

	*rises = up < down;
	return h->m->chain * (up < down ? up : down) / h->k->weight;
}

static double growth_of(void *arg, uint32_t i, uint32_t j)
{
	const struct heap *h = arg;

	return h->growth[(size_t)i * h->k->n + j];
}

static void set_growth(struct heap *h, uint32_t i, uint32_t j)
{
	const struct cluster_group *a = &h->group[i], *b = &h->group[j];
	bool rises;
	float growth = (float)(cluster_cost(h->k, h->m->sharing, a, b) - a->cost -
			       b->cost + chain_growth(h, i, j, &rises));

	h->growth[(size_t)i * h->k->n + j] = h->growth[(size_t)j * h->k->n + i] = growth;
}

/* Adds the group `from` to the group `to`. The number `from` is free then. */
static void add_group(struct heap *h, uint32_t to, uint32_t from)
{
	const struct affinity *k = h->k;
	struct cluster_group *a = &h->group[to], *b = &h->group[from];
	bool rises, is_higher = h->place[from] > h->place[to];

	(void)chain_growth(h, to, from, &rises);
	if (rises == is_higher)
		h->place[to] = h->place[from];
	h->own[to] += h->own[from];
	for (size_t i = 0; i < k->words; i++)
		a->update[i] |= b->update[i];
	for (size_t i = 0; i < k->image_words; i++)
		a->image[i] &= b->image[i];
	a->size += b->size;
	a->share += b->share;
	a->n += b->n;
	a->cost = cluster_cost_alone(k, h->m->sharing, a);
}

static void join(void *arg, uint32_t to, uint32_t from)
{
	struct heap *h = arg;

	add_group(h, to, from);
	for (size_t at = 0; at < h->groups.n_alive; at++)
		if (h->groups.alive[at] != to)
			set_growth(h, to, h->groups.alive[at]);
}

static bool is_done(void *arg)
{
	const struct heap *h = arg;

	return h->groups.n_alive <= h->limit;
}

/*
 * Merges groups until few enough are left. group[i] becomes the number of an atom in the
 * same group.
 */
static void agglomerate(struct heap *h, uint32_t *group)
{
	const struct clustering_rule rule = {growth_of, join, is_done, h};
	const uint32_t *alive = h->groups.alive;

	for (size_t at = 0; at < h->groups.n_alive; at++)
		for (size_t other = 0; other < at; other++)
			set_growth(h, alive[at], alive[other]);
	clustering_run(&h->groups, &rule, group);
}

/* Merges atoms that were in the same group before, each into the first of them. */
static void restore(struct heap *h, const uint32_t *before, uint32_t *group)
{
	size_t n = h->k->n, n_before = 0;

	for (size_t i = 0; i < n; i++)
		if (before[i] != CLUSTER_ALONE && before[i] >= n_before)
			n_before = (size_t)before[i] + 1;
	/* For each earlier group: the number of its first atom + 1. */
	uint32_t *first = mem_zero(n_before, sizeof *first);
	for (uint32_t i = 0; i < n; i++) {
		if (before[i] == CLUSTER_ALONE)
			continue;
		if (first[before[i]] == 0) {
			first[before[i]] = i + 1;
			continue;
		}
		group[i] = first[before[i]] - 1;
		clustering_drop(&h->groups, i);
		add_group(h, group[i], i);
	}
	free(first);
}

/* Fills the fields of the heap that depend on the order of the atoms. */
static void take_order(struct heap *h, const uint32_t *order)
{
	const struct affinity *k = h->k;
	double weight = 0, below = 0;

	h->place = mem_zero(k->n, sizeof *h->place);
	h->own = mem_zero(k->n, sizeof *h->own);
	h->weight = mem_zero(k->n, sizeof *h->weight);
	h->below = mem_zero(k->n, sizeof *h->below);
	affinity_weigh_sources(k, h->own);
	for (size_t i = 0; i < k->n; i++) {
		h->place[order[i]] = (uint32_t)i;
		h->weight[i] = weight += h->own[order[i]];
		h->below[i] = below;
		below += k->size[order[i]];
	}
}

static void start_groups(struct heap *h, uint64_t *rows)
{
	const struct affinity *k = h->k;
	size_t n = k->n;

	memcpy(rows, k->update, n * k->words * sizeof *rows);
	memcpy(rows + n * k->words, k->image, n * k->image_words * sizeof *rows);
	for (uint32_t i = 0; i < n; i++) {
		struct cluster_group *g = &h->group[i];
		*g = (struct cluster_group){.size = k->size[i], .share = k->share[i]};
		g->n = k->first[i + 1] - k->first[i];
		g->update = rows + i * k->words;
		g->image = rows + n * k->words + i * k->image_words;
		g->cost = cluster_cost_alone(k, h->m->sharing, g);
	}
}

/* Renumbers the groups in the order of their places, from 0. */
static size_t number_groups(const struct heap *h, uint32_t *group)
{
	size_t n = h->k->n, n_groups = 0;
	uint32_t *at = mem_zero(n, sizeof *at), *number = mem_zero(n, sizeof *number);

	for (size_t i = 0; i < n; i++)
		at[i] = UINT32_MAX;
	for (size_t i = 0; i < h->groups.n_alive; i++)
		at[h->place[h->groups.alive[i]]] = h->groups.alive[i];
	for (size_t i = 0; i < n; i++)
		if (at[i] != UINT32_MAX)
			number[at[i]] = (uint32_t)n_groups++;
	for (size_t i = 0; i < n; i++)
		group[i] = number[group[i]];
	free(at);
	free(number);
	return n_groups;
}

size_t cluster_atoms(const struct affinity *k, const struct cluster_model *m,
		     size_t limit, const uint32_t *order, const uint32_t *before,
		     uint32_t *group)
{
	size_t n = k->n;
	uint64_t *rows = mem_zero(n * (k->words + k->image_words), sizeof *rows);
	struct heap h = {.k = k, .m = m, .limit = limit};

	for (size_t i = 0; i < n; i++)
		group[i] = (uint32_t)i;
	clustering_init(&h.groups, n);
	h.group = mem_zero(n, sizeof *h.group);
	take_order(&h, order);
	start_groups(&h, rows);
	if (before != NULL)
		restore(&h, before, group);
	if (!is_done(&h)) {
		h.growth = mem_zero(n * n, sizeof *h.growth);
		agglomerate(&h, group);
	}
	size_t n_groups = number_groups(&h, group);
	free(h.place);
	free(h.own);
	free(h.weight);
	free(h.below);
	free(h.group);
	free(h.growth);
	free(rows);
	clustering_release(&h.groups);
	return n_groups;
}
