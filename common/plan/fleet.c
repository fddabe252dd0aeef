#include "plan/fleet.h"

#include "base/mem.h"
#include "plan/adjacency.h"
#include "plan/affinity.h"
#include "plan/chain.h"
#include "plan/clustering.h"
#include "plan/ordering.h"
#include "plan/plan.h"
#include "store/graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = 64 };

/*
 * A variant of a group: the part of the group that some images contain, which is a layer
 * of these images.
 */
struct variant {
	uint64_t *images;
	double size;
};

struct fleet_group {
	double size;
	double resent; /* bytes that an average update re-sends */
	double held;   /* total size of all variants */
	struct variant *variant;
	size_t n;
	uint64_t *images; /* images that contain any part of the group */
	uint64_t *update; /* updates that change the group */
};

/* The state of the merging. */
struct fleet {
	const struct affinity *k;
	struct fleet_group *group;
	struct clustering groups;
	size_t words; /* length of a set of images */
	size_t n_images, limit;
	uint64_t *over; /* images that still have too many layers */
};

static size_t count_common(const uint64_t *a, const uint64_t *b, const uint64_t *c,
			   size_t words)
{
	size_t n = 0;

	for (size_t w = 0; w < words; w++)
		n += (size_t)__builtin_popcountll(a[w] & b[w] & c[w]);
	return n;
}

/*
 * meet() returns whether the sets have a common image. exceeds() returns whether `a` has
 * an image that `b` does not have.
 */
static bool meet(const uint64_t *a, const uint64_t *b, size_t words)
{
	for (size_t w = 0; w < words; w++)
		if ((a[w] & b[w]) != 0)
			return true;
	return false;
}

static bool exceeds(const uint64_t *a, const uint64_t *b, size_t words)
{
	for (size_t w = 0; w < words; w++)
		if ((a[w] & ~b[w]) != 0)
			return true;
	return false;
}

static bool has_image(const uint64_t *images, uint32_t image)
{
	return (images[image / WORD] >> (image % WORD) & 1) != 0;
}

static double held_together(const struct fleet *p, const struct fleet_group *a,
			    const struct fleet_group *b)
{
	double held = 0;

	for (size_t i = 0; i < a->n; i++) {
		const struct variant *x = &a->variant[i];
		for (size_t k = 0; k < b->n; k++)
			if (meet(x->images, b->variant[k].images, p->words))
				held += x->size + b->variant[k].size;
		if (exceeds(x->images, b->images, p->words))
			held += x->size;
	}
	for (size_t k = 0; k < b->n; k++)
		if (exceeds(b->variant[k].images, a->images, p->words))
			held += b->variant[k].size;
	return held;
}

static double resent(const struct affinity *k, double size, const uint64_t *a,
		     const uint64_t *b)
{
	return size * (affinity_weigh_both(k, a, b) / k->weight);
}

/*
 * Returns the cost of a merge for each image that gets closer to its limit by it. The
 * score grows while images reach their limits.
 */
static double score_of(void *arg, uint32_t i, uint32_t j)
{
	const struct fleet *p = arg;
	const struct fleet_group *a = &p->group[i], *b = &p->group[j];
	size_t gain = count_common(a->images, b->images, p->over, p->words);

	if (gain == 0)
		return INFINITY;
	double grown = held_together(p, a, b) - a->held - b->held +
		       resent(p->k, a->size + b->size, a->update, b->update) - a->resent -
		       b->resent;
	return grown / (double)gain;
}

static void add_variant(struct fleet_group *g, uint64_t *images, double size)
{
	g->variant[g->n++] = (struct variant){images, size};
	g->held += size;
}

/*
 * Combines each variant of one group with each variant of the other. An image may also
 * have nothing of one of the groups.
 */
static void join_variants(const struct fleet *p, const struct fleet_group *a,
			  const struct fleet_group *b, struct fleet_group *g)
{
	struct variant none_a = {mem_zero(p->words, 8), 0},
		       none_b = {mem_zero(p->words, 8), 0};

	for (size_t w = 0; w < p->words; w++) {
		none_a.images[w] = ~a->images[w];
		none_b.images[w] = ~b->images[w];
	}
	g->variant = mem_zero((a->n + 1) * (b->n + 1), sizeof *g->variant);
	for (size_t i = 0; i <= a->n; i++)
		for (size_t k = 0; k <= b->n; k++) {
			const struct variant *x = i < a->n ? &a->variant[i] : &none_a;
			const struct variant *y = k < b->n ? &b->variant[k] : &none_b;
			if ((i == a->n && k == b->n) ||
			    !meet(x->images, y->images, p->words))
				continue;
			uint64_t *images = mem_zero(p->words, sizeof *images);
			for (size_t w = 0; w < p->words; w++)
				images[w] = x->images[w] & y->images[w];
			add_variant(g, images, x->size + y->size);
		}
	free(none_a.images);
	free(none_b.images);
}

static void release_variants(struct fleet_group *g)
{
	for (size_t i = 0; i < g->n; i++)
		free(g->variant[i].images);
	free(g->variant);
}

static void join(void *arg, uint32_t to, uint32_t from)
{
	struct fleet *p = arg;
	struct fleet_group *a = &p->group[to], *b = &p->group[from], g = *a;

	g.held = 0;
	g.n = 0;
	g.size = a->size + b->size;
	join_variants(p, a, b, &g);
	for (size_t w = 0; w < p->words; w++)
		g.images[w] |= b->images[w];
	for (size_t w = 0; w < p->k->words; w++)
		g.update[w] |= b->update[w];
	g.resent = resent(p->k, g.size, g.update, g.update);
	release_variants(a);
	release_variants(b);
	b->n = 0;
	b->variant = NULL;
	*a = g;
}

/* Finds the images with more groups than the limit. Returns whether there are none. */
static bool is_done(void *arg)
{
	struct fleet *p = arg;
	bool any = false;

	for (size_t i = 0; i < p->n_images; i++) {
		uint64_t bit = (uint64_t)1 << (i % WORD);
		size_t n = 0;
		for (size_t at = 0; at < p->groups.n_alive; at++)
			n += (p->group[p->groups.alive[at]].images[i / WORD] & bit) != 0;
		if (n > p->limit)
			p->over[i / WORD] |= bit;
		else
			p->over[i / WORD] &= ~bit;
		any |= n > p->limit;
	}
	return !any;
}

/*
 * Initializes the group of one atom. All paths of an atom have the same class, so an
 * image contains all of the atom or nothing.
 */
static void start_group(struct fleet *p, const struct adjacency *r, uint32_t atom,
			const bool *const *in, size_t n_images)
{
	const struct affinity *k = p->k;
	struct fleet_group *g = &p->group[atom];
	uint32_t node = r->node[k->place[k->first[atom]]];

	*g = (struct fleet_group){.size = k->size[atom]};
	g->images = mem_zero(p->words, sizeof *g->images);
	g->update = mem_zero(k->words, sizeof *g->update);
	memcpy(g->update, k->update + atom * k->words, k->words * sizeof *g->update);
	g->resent = resent(k, g->size, g->update, g->update);
	g->variant = mem_zero(1, sizeof *g->variant);
	for (size_t i = 0; i < n_images; i++) {
		if (!in[i][node])
			continue;
		g->images[i / WORD] |= (uint64_t)1 << (i % WORD);
		if (g->n == 0)
			add_variant(g, mem_zero(p->words, sizeof *g->images), g->size);
		g->variant[0].images[i / WORD] |= (uint64_t)1 << (i % WORD);
	}
}

/*
 * Returns a number for each node that depends only on the set of images with this node.
 */
static uint64_t *classify(size_t n, const bool *const *in, size_t n_images)
{
	uint64_t *class = mem_zero(n, sizeof *class);

	for (size_t v = 0; v < n; v++)
		for (size_t i = 0; i < n_images; i++)
			class[v] =
			    affinity_mix(class[v] << 1 ^ class[v] >> 63 ^ in[i][v]);
	return class;
}

static void init_groups(struct fleet *p, const struct adjacency *r, const bool *const *in)
{
	size_t n = p->k->n;

	p->words = (p->n_images + WORD - 1) / WORD;
	p->group = mem_zero(n, sizeof *p->group);
	p->over = mem_zero(p->words, sizeof *p->over);
	clustering_init(&p->groups, n);
	for (uint32_t i = 0; i < n; i++)
		start_group(p, r, i, in, p->n_images);
}

/*
 * Events that change layers of a chain: updates of paths, and pulls of an image where
 * another image already is. The layers that these two images do not share have changed.
 * Both kinds of events have the same weight. At most PULLS_MAX pulls are considered.
 */
enum { PULLS_MAX = 2048 };

struct pulls {
	size_t n, words;
	uint32_t *from, *to; /* the image that exists, and the one that is pulled */
};

static void list_pulls(struct pulls *a, size_t n_images)
{
	size_t steps = n_images - 1;

	while (steps * n_images > PULLS_MAX)
		steps--;
	a->from = mem_zero(steps * n_images, sizeof *a->from);
	a->to = mem_zero(steps * n_images, sizeof *a->to);
	for (size_t step = 1; step <= steps; step++)
		for (size_t i = 0; i < n_images; i++, a->n++) {
			a->from[a->n] = (uint32_t)i;
			a->to[a->n] = (uint32_t)((i + step) % n_images);
		}
	a->words = (a->n + WORD - 1) / WORD;
}

/* Sets the bits of the pulls for which the group is a layer that must be sent. */
static void fill_pulls(const struct pulls *a, const struct fleet_group *g, uint64_t *row)
{
	for (size_t i = 0; i < g->n; i++) {
		const uint64_t *images = g->variant[i].images;
		for (size_t k = 0; k < a->n; k++)
			if (has_image(images, a->to[k]) && !has_image(images, a->from[k]))
				row[k / WORD] |= (uint64_t)1 << (k % WORD);
	}
}

/* Makes rows of events: first the updates, then the pulls. */
static struct affinity join_events(const struct affinity *k, const struct pulls *a)
{
	struct affinity both = {.words = k->words + a->words, .weight = 2};
	double *one = mem_zero(both.words * WORD, sizeof *one);

	for (size_t i = 0; i < k->n_updates; i++)
		one[i] = affinity_weight(k, i) / k->weight;
	for (size_t i = 0; i < a->n; i++)
		one[k->words * WORD + i] = 1 / (double)a->n;
	both.table = affinity_table(one, both.words);
	free(one);
	return both;
}

/* A group with its place among all groups. */
struct ranked {
	size_t n_images;
	uint32_t rank, group;
};

static int compare_ranks(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->n_images != y->n_images)
		return x->n_images > y->n_images ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/*
 * Returns the groups in a first order: those of many images at the bottom, and otherwise
 * as their lowest atoms.
 */
static struct ranked *rank_groups(const struct fleet *p, const uint32_t *group)
{
	size_t n = p->groups.n_alive;
	uint32_t *order = mem_zero(p->k->n, sizeof *order);
	uint32_t *rank = mem_zero(p->k->n, sizeof *rank);
	struct ranked *ranked = mem_zero(n, sizeof *ranked);

	chain_order(p->k, order);
	for (size_t i = p->k->n; i-- > 0;)
		rank[group[order[i]]] = (uint32_t)i;
	for (size_t i = 0; i < n; i++) {
		uint32_t g = p->groups.alive[i];
		const uint64_t *images = p->group[g].images;
		ranked[i] = (struct ranked){
		    count_common(images, images, images, p->words), rank[g], g};
	}
	qsort(ranked, n, sizeof *ranked, compare_ranks);
	free(order);
	free(rank);
	return ranked;
}

/* Renumbers the groups in the order of their layers, which is the same in all images. */
static void order_groups(const struct fleet *p, uint32_t *group)
{
	struct pulls pulls = {0};

	list_pulls(&pulls, p->n_images);
	struct affinity both = join_events(p->k, &pulls);
	struct ranked *ranked = rank_groups(p, group);
	struct chain_stack stack;
	chain_stack_init(&stack, &both, p->groups.n_alive);
	uint64_t *rows = mem_zero(stack.n * both.words, sizeof *rows);
	uint32_t *number = mem_zero(p->k->n, sizeof *number);
	for (size_t i = 0; i < stack.n; i++) {
		const struct fleet_group *g = &p->group[ranked[i].group];
		stack.id[i] = ranked[i].group;
		stack.size[i] = g->size;
		stack.update[i] = rows + i * both.words;
		memcpy(stack.update[i], g->update, p->k->words * sizeof *rows);
		fill_pulls(&pulls, g, stack.update[i] + p->k->words);
	}
	chain_sort(&stack);
	for (size_t i = 0; i < stack.n; i++)
		number[stack.id[i]] = (uint32_t)i;
	for (size_t i = 0; i < p->k->n; i++)
		group[i] = number[group[i]];
	free(number);
	free(rows);
	chain_stack_release(&stack);
	free(ranked);
	free(pulls.from);
	free(pulls.to);
	affinity_release(&both);
}

static void release_groups(struct fleet *p)
{
	for (size_t i = 0; i < p->groups.n; i++) {
		release_variants(&p->group[i]);
		free(p->group[i].images);
		free(p->group[i].update);
	}
	free(p->group);
	free(p->over);
	clustering_release(&p->groups);
}

int fleet_plan(const struct graph *all, const bool *const *in, size_t n_images,
	       size_t limit, const double *weight, struct plan *plans, struct err *e)
{
	struct adjacency r;
	struct affinity k;
	struct fleet p = {.k = &k, .n_images = n_images, .limit = limit};
	const struct clustering_rule rule = {score_of, join, is_done, &p};

	if (adjacency_init(&r, all, e) < 0) {
		adjacency_release(&r);
		return -1;
	}
	uint64_t *class = classify(all->paths.n, in, n_images);
	affinity_init(&k, all, &r, weight, class);
	uint32_t *group = mem_zero(k.n, sizeof *group);
	for (size_t i = 0; i < k.n; i++)
		group[i] = (uint32_t)i;
	init_groups(&p, &r, in);
	clustering_run(&p.groups, &rule, group);
	order_groups(&p, group);
	for (size_t i = 0; i < n_images; i++)
		ordering_plan(all, &r, &k, group, in[i], &plans[i]);
	release_groups(&p);
	free(group);
	free(class);
	affinity_release(&k);
	adjacency_release(&r);
	return 0;
}
