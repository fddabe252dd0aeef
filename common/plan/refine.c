#include "plan/refine.h"

#include "base/mem.h"
#include "plan/affinity.h"
#include "plan/chain.h"
#include "plan/cluster.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES_MAX = 20 };

struct layer {
	struct cluster_group group;
	/*
	 * Rows of the updates that change exactly one atom, of the images that exactly
	 * one atom is not in, and of the updates that change no lower layer.
	 */
	uint64_t *once, *miss, *lowest;
	double mass;  /* weight of `lowest` */
	double above; /* size of this layer and all above it */
};

/* The state of the moves. The bottom layer is layer[0]. */
struct search {
	const struct affinity *k;
	const struct cluster_model *m;
	size_t n;
	struct layer *layer;
	uint64_t *rows;
	uint64_t *less, *more, *seen; /* scratch rows */
	double *hit;                  /* scratch: a weight for each layer */
	double *sent;                 /* scratch: for each layer, the cost of the chain */
	uint32_t *of;                 /* the layer of each atom */
	const bool *kept;             /* layers that stay as they are, or NULL */
};

static bool is_kept(const struct search *s, uint32_t layer)
{
	return s->kept != NULL && s->kept[layer];
}

static const uint64_t *update_of(const struct search *s, size_t atom)
{
	return s->k->update + atom * s->k->words;
}

static const uint64_t *image_of(const struct search *s, size_t atom)
{
	return s->k->image + atom * s->k->image_words;
}

static size_t paths_of(const struct search *s, size_t atom)
{
	return s->k->first[atom + 1] - s->k->first[atom];
}

/* Computes the fields of a layer from its atoms. */
static void add_up(struct search *s, uint32_t to)
{
	const struct affinity *k = s->k;
	struct layer *l = &s->layer[to];
	struct cluster_group *g = &l->group;

	g->size = g->share = 0;
	g->n = 0;
	memset(g->update, 0, k->words * sizeof *g->update);
	memset(l->once, 0, k->words * sizeof *l->once);
	memset(g->image, 255, k->image_words * sizeof *g->image);
	memset(l->miss, 0, k->image_words * sizeof *l->miss);
	for (size_t i = 0; i < k->n; i++) {
		if (s->of[i] != to)
			continue;
		const uint64_t *update = update_of(s, i), *image = image_of(s, i);
		for (size_t w = 0; w < k->words; w++) {
			l->once[w] =
			    (l->once[w] & ~update[w]) | (update[w] & ~g->update[w]);
			g->update[w] |= update[w];
		}
		for (size_t w = 0; w < k->image_words; w++) {
			l->miss[w] = (l->miss[w] & image[w]) | (g->image[w] & ~image[w]);
			g->image[w] &= image[w];
		}
		g->size += k->size[i];
		g->share += k->share[i];
		g->n += paths_of(s, i);
	}
	g->cost = g->n == 0 ? 0 : cluster_cost_alone(k, s->m->sharing, g);
}

/* Computes the fields of all layers that depend on the other layers. */
static void stack_up(struct search *s)
{
	const struct affinity *k = s->k;
	double above = 0;

	memset(s->seen, 0, k->words * sizeof *s->seen);
	for (size_t i = 0; i < s->n; i++) {
		struct layer *l = &s->layer[i];
		for (size_t w = 0; w < k->words; w++) {
			l->lowest[w] = l->group.update[w] & ~s->seen[w];
			s->seen[w] |= l->group.update[w];
		}
		l->mass = affinity_weigh(k, l->lowest);
	}
	for (size_t i = s->n; i-- > 0;)
		s->layer[i].above = above += s->layer[i].group.size;
}

static double cost_of(const struct search *s)
{
	double sets = 0, chains = 0;

	for (size_t i = 0; i < s->n; i++) {
		sets += s->layer[i].group.cost;
		chains += s->layer[i].mass * s->layer[i].above;
	}
	return sets + s->m->chain * chains / s->k->weight;
}

/* Returns the cost of the layer of atom `i` without this atom. */
static double cost_without(const struct search *s, size_t i)
{
	const struct affinity *k = s->k;
	const struct layer *l = &s->layer[s->of[i]];
	const uint64_t *update = update_of(s, i), *image = image_of(s, i);
	struct cluster_group less = {.size = l->group.size - k->size[i],
				     .share = l->group.share - k->share[i],
				     .n = l->group.n - paths_of(s, i),
				     .update = s->less,
				     .image = s->more};

	if (less.n == 0)
		return 0;
	for (size_t w = 0; w < k->words; w++)
		s->less[w] = l->group.update[w] & ~(l->once[w] & update[w]);
	for (size_t w = 0; w < k->image_words; w++)
		s->more[w] = l->group.image[w] | (l->miss[w] & ~image[w]);
	return cluster_cost_alone(k, s->m->sharing, &less);
}

/*
 * Computes for each layer how many bytes of the chain are sent if atom `i` is there,
 * compared to its present layer, into s->sent.
 *
 * Without the atom, the lowest layer that an update changes is the same as with it,
 * except for updates that change no other atom of its layer. Let M be the weight of the
 * updates with the lowest layer t, and H the weight of those of them that change the
 * atom. In layer j, the atom adds its size s to all updates with t <= j, and lowers the
 * lowest layer of its updates with t > j to j.
 */
static void weigh_places(struct search *s, size_t i)
{
	const struct affinity *k = s->k;
	const uint64_t *update = update_of(s, i);
	size_t own = s->of[i];
	const struct layer *l = &s->layer[own];
	double size = k->size[i], moved, raised = 0, end = 0, sum = 0;

	for (size_t t = 0; t < own; t++) {
		for (size_t w = 0; w < k->words; w++)
			s->less[w] = update[w] & s->layer[t].lowest[w];
		s->hit[t] = affinity_weigh(k, s->less);
	}
	for (size_t w = 0; w < k->words; w++) {
		s->less[w] = update[w] & l->lowest[w] & ~l->once[w];
		s->more[w] = update[w] & l->lowest[w] & l->once[w];
	}
	s->hit[own] = affinity_weigh(k, s->less);
	moved = affinity_weigh(k, s->more);
	for (size_t t = own + 1; t < s->n; t++) {
		s->hit[t] = 0;
		if (moved <= 0)
			continue;
		for (size_t w = 0; w < k->words; w++) {
			s->less[w] = s->more[w] & s->layer[t].group.update[w];
			s->more[w] &= ~s->less[w];
		}
		s->hit[t] = affinity_weigh(k, s->less);
	}
	/* The weight of the updates that change only the atom. */
	double only = moved <= 0 ? 0 : affinity_weigh(k, s->more);
	for (size_t t = s->n; t-- > 0;) {
		double above = s->layer[t].above - (t <= own ? size : 0);
		s->sent[t] = (raised + only) * (above + size) - end;
		raised += s->hit[t];
		end += s->hit[t] * above;
	}
	for (size_t t = 0; t < s->n; t++) {
		double mass = s->layer[t].mass;
		if (t == own)
			mass -= moved;
		else if (t > own)
			mass += s->hit[t];
		sum += mass;
		s->sent[t] += size * sum;
	}
	double now = s->sent[own];
	for (size_t t = 0; t < s->n; t++)
		s->sent[t] -= now;
}

/*
 * Moves each atom to the layer where it costs least. Returns whether an atom was moved.
 */
static bool move_atoms(struct search *s)
{
	const struct affinity *k = s->k;
	double chain = s->m->chain / k->weight;
	bool moved = false;

	for (size_t i = 0; i < k->n; i++) {
		uint32_t own = s->of[i], best = own;
		if (is_kept(s, own))
			continue;
		const struct cluster_group atom = {k->size[i],
						   k->share[i],
						   0,
						   paths_of(s, i),
						   k->update + i * k->words,
						   k->image + i * k->image_words};
		double saved = s->layer[own].group.cost - cost_without(s, i);
		weigh_places(s, i);
		/*
		 * Require a real gain, so that rounding errors do not move an atom
		 * forever.
		 */
		double least = saved - 1e-9 * (saved + k->size[i]);
		for (uint32_t to = 0; to < s->n; to++) {
			const struct cluster_group *g = &s->layer[to].group;
			if (to == own || is_kept(s, to))
				continue;
			double grown = chain * s->sent[to];
			if (grown >= least)
				continue;
			grown += g->n == 0
				     ? cluster_cost_alone(k, s->m->sharing, &atom)
				     : cluster_cost(k, s->m->sharing, g, &atom) - g->cost;
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
		stack_up(s);
		moved = true;
	}
	return moved;
}

/* Moves layers. Returns whether a layer was moved. */
static bool move_layers(struct search *s)
{
	struct chain_stack stack;
	struct layer *layer = mem_zero(s->n, sizeof *layer);
	uint32_t *now = mem_zero(s->n, sizeof *now);

	chain_stack_init(&stack, s->k, s->n);
	for (size_t i = 0; i < s->n; i++) {
		stack.size[i] = s->layer[i].group.size;
		stack.update[i] = s->layer[i].group.update;
		stack.id[i] = (uint32_t)i;
	}
	bool moved = chain_sort(&stack);
	memcpy(layer, s->layer, s->n * sizeof *layer);
	for (size_t i = 0; i < s->n; i++) {
		s->layer[i] = layer[stack.id[i]];
		now[stack.id[i]] = (uint32_t)i;
	}
	for (size_t i = 0; i < s->k->n; i++)
		s->of[i] = now[s->of[i]];
	stack_up(s);
	chain_stack_release(&stack);
	free(layer);
	free(now);
	return moved;
}

static void init_search(struct search *s)
{
	const struct affinity *k = s->k;
	size_t words = k->words, image_words = k->image_words;

	s->rows = mem_zero(s->n * (3 * words + 2 * image_words) + 3 * words + image_words,
			   sizeof *s->rows);
	s->layer = mem_zero(s->n, sizeof *s->layer);
	s->hit = mem_zero(s->n, sizeof *s->hit);
	s->sent = mem_zero(s->n, sizeof *s->sent);
	uint64_t *at = s->rows;
	for (uint32_t i = 0; i < s->n; i++) {
		struct layer *l = &s->layer[i];
		l->group.update = at;
		l->once = at + words;
		l->lowest = at + 2 * words;
		l->group.image = at + 3 * words;
		l->miss = l->group.image + image_words;
		at = l->miss + image_words;
		add_up(s, i);
	}
	s->less = at;
	s->seen = at + words;
	s->more = at + 2 * words;
	stack_up(s);
}

double refine_layers(const struct affinity *k, const struct cluster_model *m, size_t n,
		     const bool *kept, uint32_t *group)
{
	struct search s = {.k = k, .m = m, .n = n, .of = group, .kept = kept};
	bool moved = true;

	init_search(&s);
	for (int pass = 0; moved && pass < PASSES_MAX; pass++) {
		moved = kept == NULL && move_layers(&s);
		moved |= move_atoms(&s);
	}
	double cost = cost_of(&s);
	free(s.rows);
	free(s.layer);
	free(s.hit);
	free(s.sent);
	return cost;
}

/* A cut of an order: the costs of all layers of neighbours; see index_of(). */
struct cut {
	size_t n;
	float *cost;
};

/* Returns the index of the cost of the layer from `first` up to `end` - 1. */
static size_t index_of(size_t first, size_t end)
{
	return end * (end - 1) / 2 + first;
}

static void weigh_parts(struct cut *c, const struct affinity *k,
			const struct cluster_model *m, const uint32_t *order)
{
	uint64_t *rows = mem_zero(k->words + k->image_words, sizeof *rows);
	double *above = mem_zero(k->n + 1, sizeof *above);
	double *own = mem_zero(k->n, sizeof *own);

	affinity_weigh_sources(k, own);
	for (size_t i = k->n; i-- > 0;)
		above[i] = above[i + 1] + k->size[order[i]];
	for (size_t end = 1; end <= c->n; end++) {
		struct cluster_group g = {.update = rows, .image = rows + k->words};
		double weight = 0;
		memset(g.update, 0, k->words * sizeof *rows);
		memset(g.image, 255, k->image_words * sizeof *rows);
		for (size_t i = end; i-- > 0;) {
			uint32_t atom = order[i];
			for (size_t w = 0; w < k->words; w++)
				g.update[w] |= k->update[atom * k->words + w];
			for (size_t w = 0; w < k->image_words; w++)
				g.image[w] &= k->image[atom * k->image_words + w];
			g.size += k->size[atom];
			g.share += k->share[atom];
			g.n += k->first[atom + 1] - k->first[atom];
			weight += own[atom];
			c->cost[index_of(i, end)] =
			    (float)(cluster_cost_alone(k, m->sharing, &g) +
				    m->chain * weight * above[i] / k->weight);
		}
	}
	free(rows);
	free(above);
	free(own);
}

/*
 * Finds the best cuts of the order into n_layers layers. Writes the start of layer l, if
 * it ends at `end`, to from[l * (n + 1) + end].
 */
static void find_cuts(const struct cut *c, size_t n_layers, uint16_t *from)
{
	size_t n = c->n;
	float *best = mem_zero(n + 1, sizeof *best);
	float *next = mem_zero(n + 1, sizeof *next);

	for (size_t i = 1; i <= n; i++)
		best[i] = INFINITY;
	for (size_t l = 0; l < n_layers; l++) {
		next[0] = INFINITY;
		for (size_t end = 1; end <= n; end++) {
			const float *cost = c->cost + index_of(0, end);
			size_t at = l;
			next[end] = INFINITY;
			for (size_t i = l; i < end; i++)
				if (best[i] + cost[i] < next[end]) {
					next[end] = best[i] + cost[i];
					at = i;
				}
			from[l * (n + 1) + end] = (uint16_t)at;
		}
		float *other = best;
		best = next;
		next = other;
	}
	free(best);
	free(next);
}

bool refine_cut(const struct affinity *k, const struct cluster_model *m, size_t limit,
		const uint32_t *order, uint32_t *group)
{
	struct cut c = {.n = k->n};
	size_t n_layers = limit < c.n ? limit : c.n;

	if (limit > REFINE_CUT || c.n > UINT16_MAX)
		return false;
	uint16_t *from = mem_zero(n_layers * (c.n + 1), sizeof *from);
	c.cost = mem_zero(index_of(c.n, c.n) + c.n, sizeof *c.cost);
	weigh_parts(&c, k, m, order);
	find_cuts(&c, n_layers, from);
	for (size_t l = n_layers, end = c.n; l-- > 0;) {
		size_t start = from[l * (c.n + 1) + end];
		for (size_t i = start; i < end; i++)
			group[order[i]] = (uint32_t)l;
		end = start;
	}
	free(from);
	free(c.cost);
	return true;
}
