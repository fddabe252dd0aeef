#include "plan/cluster.h"

#include "base/mem.h"
#include "plan/affinity.h"
#include "plan/clustering.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES_MAX = 20 };

/*
 * The share f of unwanted bytes at which h is about half of its maximum; see cluster.h.
 */
static const double half = 0.02;

/* A group of atoms, which will be a layer. A group without members costs nothing. */
struct group {
	double size, share, cost;
	size_t n;
	uint64_t *update, *image; /* as in struct affinity: of any atom; of all atoms */
};

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

static double cost_both(const struct affinity *k, double sharing, const struct group *a,
			const struct group *b)
{
	return cost_of(k, sharing, a->size + b->size, a->share + b->share, a->n + b->n,
		       affinity_weigh_both(k, a->update, b->update),
		       affinity_count_common(k, a->image, b->image));
}

static double cost_alone(const struct affinity *k, double sharing, const struct group *a)
{
	return cost_both(k, sharing, a, &(struct group){0, 0, 0, 0, a->update, a->image});
}

/*
 * The state of the merging. growth[i * n + j] is the increase of the cost if i and j
 * merge.
 */
struct heap {
	const struct affinity *k;
	double sharing;
	size_t limit;
	struct group *group;
	struct clustering groups;
	float *growth;
};

static double growth_of(void *arg, uint32_t i, uint32_t j)
{
	const struct heap *h = arg;

	return h->growth[(size_t)i * h->k->n + j];
}

static void set_growth(struct heap *h, uint32_t i, uint32_t j)
{
	const struct group *a = &h->group[i], *b = &h->group[j];
	float growth = (float)(cost_both(h->k, h->sharing, a, b) - a->cost - b->cost);

	h->growth[(size_t)i * h->k->n + j] = h->growth[(size_t)j * h->k->n + i] = growth;
}

/* Adds the group `from` to the group `to`. The number `from` is free then. */
static void add_group(struct heap *h, uint32_t to, uint32_t from)
{
	const struct affinity *k = h->k;
	struct group *a = &h->group[to], *b = &h->group[from];

	for (size_t i = 0; i < k->words; i++)
		a->update[i] |= b->update[i];
	for (size_t i = 0; i < k->image_words; i++)
		a->image[i] &= b->image[i];
	a->size += b->size;
	a->share += b->share;
	a->n += b->n;
	a->cost = cost_alone(k, h->sharing, a);
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

/* The state of the moves. Groups have the numbers 0 to n_groups - 1. */
struct search {
	const struct affinity *k;
	double sharing;
	size_t n_groups;
	struct group *group;
	/*
	 * For each group: a row of the updates that change exactly one atom, and a row of
	 * the images that exactly one atom is not in.
	 */
	uint64_t *once, *miss;
	uint64_t *less, *more; /* scratch rows */
	uint32_t *of;
};

/* Computes the fields of group `to` from its members. */
static void add_up(struct search *s, uint32_t to)
{
	const struct affinity *k = s->k;
	struct group *g = &s->group[to];
	uint64_t *once = s->once + to * k->words, *miss = s->miss + to * k->image_words;

	g->size = g->share = 0;
	g->n = 0;
	memset(g->update, 0, k->words * sizeof *g->update);
	memset(once, 0, k->words * sizeof *once);
	memset(g->image, 255, k->image_words * sizeof *g->image);
	memset(miss, 0, k->image_words * sizeof *miss);
	for (size_t i = 0; i < k->n; i++) {
		if (s->of[i] != to)
			continue;
		const uint64_t *update = k->update + i * k->words;
		const uint64_t *image = k->image + i * k->image_words;
		for (size_t w = 0; w < k->words; w++) {
			once[w] = (once[w] & ~update[w]) | (update[w] & ~g->update[w]);
			g->update[w] |= update[w];
		}
		for (size_t w = 0; w < k->image_words; w++) {
			miss[w] = (miss[w] & image[w]) | (g->image[w] & ~image[w]);
			g->image[w] &= image[w];
		}
		g->size += k->size[i];
		g->share += k->share[i];
		g->n += k->first[i + 1] - k->first[i];
	}
	g->cost = g->n == 0 ? 0 : cost_alone(k, s->sharing, g);
}

/* Returns the cost of the group of atom `i` without this atom. */
static double cost_without(const struct search *s, size_t i)
{
	const struct affinity *k = s->k;
	uint32_t own = s->of[i];
	const struct group *g = &s->group[own];
	const uint64_t *update = k->update + i * k->words;
	const uint64_t *image = k->image + i * k->image_words;
	size_t n = g->n - (k->first[i + 1] - k->first[i]);

	if (n == 0)
		return 0;
	for (size_t w = 0; w < k->words; w++)
		s->less[w] = g->update[w] & ~(s->once[own * k->words + w] & update[w]);
	for (size_t w = 0; w < k->image_words; w++)
		s->more[w] =
		    g->image[w] | (s->miss[own * k->image_words + w] & ~image[w]);
	return cost_of(k, s->sharing, g->size - k->size[i], g->share - k->share[i], n,
		       affinity_weigh(k, s->less), affinity_count(k, s->more));
}

/*
 * Moves each atom to the group where it costs least. Returns whether an atom was moved.
 */
static bool move_atoms(struct search *s)
{
	const struct affinity *k = s->k;
	bool moved = false;

	for (size_t i = 0; i < k->n; i++) {
		uint32_t own = s->of[i], best = own;
		struct group atom = {k->size[i],
				     k->share[i],
				     0,
				     k->first[i + 1] - k->first[i],
				     k->update + i * k->words,
				     k->image + i * k->image_words};
		double saved = s->group[own].cost - cost_without(s, i);
		/*
		 * Require a real gain, so that rounding errors do not move an atom
		 * forever.
		 */
		double least = saved * (1 - 1e-9);
		for (uint32_t to = 0; to < s->n_groups; to++) {
			const struct group *g = &s->group[to];
			if (to == own)
				continue;
			double grown = g->n == 0
					   ? cost_alone(k, s->sharing, &atom)
					   : cost_both(k, s->sharing, g, &atom) - g->cost;
			if (grown < least) {
				least = grown;
				best = to;
			}
		}
		if (best == own)
			continue;
		s->of[i] = best;
		add_up(s, own);
		add_up(s, best);
		moved = true;
	}
	return moved;
}

static void improve(struct search *s)
{
	const struct affinity *k = s->k;
	uint64_t *rows =
	    mem_zero((s->n_groups * 2 + 1) * (k->words + k->image_words), sizeof *rows);

	s->once = rows;
	s->miss = s->once + s->n_groups * k->words;
	s->less = s->miss + s->n_groups * k->image_words;
	s->more = s->less + k->words;
	uint64_t *at = s->more + k->image_words;
	s->group = mem_zero(s->n_groups, sizeof *s->group);
	for (uint32_t i = 0; i < s->n_groups; i++) {
		s->group[i].update = at;
		s->group[i].image = at + k->words;
		at += k->words + k->image_words;
		add_up(s, i);
	}
	for (int pass = 0; pass < PASSES_MAX && move_atoms(s); pass++)
		continue;
	free(s->group);
	free(rows);
}

void cluster_atoms(const struct affinity *k, size_t limit, double sharing,
		   const uint32_t *before, uint32_t *group)
{
	size_t n = k->n;

	for (size_t i = 0; i < n; i++)
		group[i] = (uint32_t)i;
	if (n <= limit && before == NULL)
		return;
	uint64_t *rows = mem_zero(n * (k->words + k->image_words), sizeof *rows);
	struct heap h = {.k = k, .sharing = sharing, .limit = limit};
	clustering_init(&h.groups, n);
	h.group = mem_zero(n, sizeof *h.group);
	h.growth = mem_zero(n * n, sizeof *h.growth);
	memcpy(rows, k->update, n * k->words * sizeof *rows);
	memcpy(rows + n * k->words, k->image, n * k->image_words * sizeof *rows);
	for (uint32_t i = 0; i < n; i++) {
		struct group *g = &h.group[i];
		*g = (struct group){.size = k->size[i], .share = k->share[i]};
		g->n = k->first[i + 1] - k->first[i];
		g->update = rows + i * k->words;
		g->image = rows + n * k->words + i * k->image_words;
		g->cost = cost_alone(k, sharing, g);
	}
	if (before != NULL)
		restore(&h, before, group);
	agglomerate(&h, group);
	size_t n_groups = h.groups.n_alive;
	uint32_t *number = mem_zero(n, sizeof *number);
	for (size_t at = 0; at < n_groups; at++)
		number[h.groups.alive[at]] = (uint32_t)at;
	for (size_t i = 0; i < n; i++)
		group[i] = number[group[i]];
	free(number);
	free(h.group);
	free(h.growth);
	free(rows);
	clustering_release(&h.groups);
	if (before != NULL)
		return;
	improve(&(struct search){
	    .k = k, .sharing = sharing, .n_groups = n_groups, .of = group});
}
