#include "plan/chain.h"

#include "base/mem.h"
#include "plan/affinity.h"

#include <stdlib.h>
#include <string.h>

enum { WORD = 64, PASSES_MAX = 20 };

/* Gains below this share of the sizes compared are rounding errors. */
static const double rounding = 1e-9;

/* The atoms during the search for an order. */
struct jobs {
	size_t n, words;
	uint64_t *above; /* row a: the atoms that an update in atom a changes, and a */
	double *size, *weight; /* of each atom */
	/* For each atom: the sums over the atoms of its row that are not placed. */
	double *size_above, *weight_above;
	uint32_t *others; /* scratch */
	uint32_t *order;  /* the top atom first; n_placed atoms */
	size_t n_placed;
};

static bool has(const struct jobs *j, uint32_t a, uint32_t b)
{
	return (j->above[a * j->words + b / WORD] >> (b % WORD) & 1) != 0;
}

static void put(struct jobs *j, uint32_t a, uint32_t b)
{
	j->above[a * j->words + b / WORD] |= (uint64_t)1 << (b % WORD);
}

static void init_jobs(struct jobs *j, const struct affinity *k)
{
	*j = (struct jobs){.n = k->n, .words = (k->n + WORD - 1) / WORD};
	j->above = mem_zero(j->n * j->words, sizeof *j->above);
	j->size = mem_zero(j->n, sizeof *j->size);
	j->weight = mem_zero(j->n, sizeof *j->weight);
	j->size_above = mem_zero(j->n, sizeof *j->size_above);
	j->weight_above = mem_zero(j->n, sizeof *j->weight_above);
	j->others = mem_zero(j->n, sizeof *j->others);
	j->order = mem_zero(j->n, sizeof *j->order);
	for (uint32_t b = 0; b < j->n; b++) {
		const uint64_t *row = k->update + b * k->words;
		put(j, b, b);
		/* No job takes no time: a ratio to the size must exist. */
		j->size[b] = k->size[b] < 1 ? 1 : k->size[b];
		for (size_t w = 0; w < k->words; w++)
			for (uint64_t left = row[w]; left != 0; left &= left - 1)
				put(j,
				    k->source[w * WORD + (size_t)__builtin_ctzll(left)],
				    b);
	}
	affinity_weigh_sources(k, j->weight);
	for (uint32_t a = 0; a < j->n; a++)
		for (uint32_t b = 0; b < j->n; b++)
			if (has(j, a, b)) {
				j->size_above[a] += j->size[b];
				j->weight_above[a] += j->weight[b];
			}
}

static void release_jobs(struct jobs *j)
{
	free(j->above);
	free(j->size);
	free(j->weight);
	free(j->size_above);
	free(j->weight_above);
	free(j->others);
	free(j->order);
}

/* Places the atom below all that are placed. */
static void place(struct jobs *j, uint32_t b)
{
	j->order[j->n_placed++] = b;
	for (uint32_t a = 0; a < j->n; a++)
		if (has(j, a, b)) {
			j->size_above[a] -= j->size[b];
			j->weight_above[a] -= j->weight[b];
		}
}

/*
 * Places the atoms of the list. From the top, it chooses the atom that has the most
 * weight for its size together with the atoms that must be above it, and places all of
 * them.
 */
static void place_all(struct jobs *j, uint32_t *list, size_t n)
{
	while (n > 0) {
		size_t best = 0, n_above = 0, n_others = 0;
		for (size_t i = 1; i < n; i++)
			if (j->weight_above[list[i]] * j->size_above[list[best]] >
			    j->weight_above[list[best]] * j->size_above[list[i]])
				best = i;
		uint32_t a = list[best];
		for (size_t i = 0; i < n; i++) {
			if (i == best)
				continue;
			if (has(j, a, list[i]))
				list[n_above++] = list[i];
			else
				j->others[n_others++] = list[i];
		}
		memcpy(list + n_above, j->others, n_others * sizeof *list);
		place_all(j, list, n_above);
		place(j, a);
		list += n_above;
		n = n_others;
	}
}

/*
 * Moves the atoms of order[first] up to order[end - 1] that must be above `a` in front of
 * the others, or those that must be below `a` behind the others. `a` is one of them.
 */
static void move_block(struct jobs *j, uint32_t a, size_t first, size_t end, bool up)
{
	size_t n = 0, to = first;
	uint32_t *others = mem_zero(end - first, sizeof *others);
	uint32_t *block = mem_zero(end - first, sizeof *block), n_block = 0;

	for (size_t i = first; i < end; i++) {
		uint32_t b = j->order[i];
		if (up ? has(j, a, b) : has(j, b, a))
			block[n_block++] = b;
		else
			others[n++] = b;
	}
	for (size_t i = 0; up && i < n_block; i++)
		j->order[to++] = block[i];
	for (size_t i = 0; i < n; i++)
		j->order[to++] = others[i];
	for (size_t i = 0; !up && i < n_block; i++)
		j->order[to++] = block[i];
	free(others);
	free(block);
}

/*
 * Moves the atom at index `at` up or down to where the sum is least, together with the
 * atoms on the way that must be above or below it. Returns whether it was moved.
 */
static bool move_atom(struct jobs *j, size_t at)
{
	uint32_t a = j->order[at];
	double change = 0, least = -rounding * j->size[a] * j->weight[a];
	double size = j->size[a], weight = j->weight[a];
	size_t to = at;

	for (size_t i = at; i-- > 0;) {
		uint32_t b = j->order[i];
		if (has(j, a, b)) {
			size += j->size[b];
			weight += j->weight[b];
			continue;
		}
		change += j->weight[b] * size - weight * j->size[b];
		if (change < least) {
			least = change;
			to = i;
		}
	}
	change = 0;
	size = j->size[a];
	weight = j->weight[a];
	for (size_t i = at + 1; i < j->n; i++) {
		uint32_t b = j->order[i];
		if (has(j, b, a)) {
			size += j->size[b];
			weight += j->weight[b];
			continue;
		}
		change += weight * j->size[b] - j->weight[b] * size;
		if (change < least) {
			least = change;
			to = i;
		}
	}
	if (to < at)
		move_block(j, a, to, at + 1, true);
	else if (to > at)
		move_block(j, a, at, to + 1, false);
	return to != at;
}

void chain_order(const struct affinity *k, uint32_t *order)
{
	struct jobs j;
	bool moved = true;

	init_jobs(&j, k);
	uint32_t *all = mem_zero(j.n, sizeof *all);
	for (size_t i = 0; i < j.n; i++)
		all[i] = (uint32_t)i;
	place_all(&j, all, j.n);
	for (int pass = 0; moved && pass < PASSES_MAX; pass++) {
		moved = false;
		for (size_t at = 0; at < j.n; at++)
			moved |= move_atom(&j, at);
	}
	for (size_t i = 0; i < j.n; i++)
		order[i] = j.order[j.n - 1 - i];
	free(all);
	release_jobs(&j);
}

void chain_stack_init(struct chain_stack *s, const struct affinity *k, size_t n)
{
	*s = (struct chain_stack){.k = k, .n = n};
	s->size = mem_zero(n, sizeof *s->size);
	s->update = mem_zero(n, sizeof *s->update);
	s->id = mem_zero(n, sizeof *s->id);
}

void chain_stack_release(struct chain_stack *s)
{
	free(s->size);
	free(s->update);
	free(s->id);
}

/*
 * The cost of a stack is the sum over its layers of the weight of the updates that change
 * the layer and no lower one, times the size of the layer and all above it. If two
 * neighbours x below y change places, the cost changes by
 *
 *	y * W(y) + x * W(both) - x * W(x) - y * W(both)
 *
 * where W is the weight of the updates that change no layer below both of them.
 */
static double weigh_new(const struct affinity *k, const uint64_t *a, const uint64_t *b,
			const uint64_t *below, uint64_t *row)
{
	for (size_t w = 0; w < k->words; w++)
		row[w] = (a[w] | b[w]) & ~below[w];
	return affinity_weigh(k, row);
}

static double change_of_swap(double x, double weight_x, double y, double weight_y,
			     double weight_both)
{
	return y * weight_y + x * weight_both - x * weight_x - y * weight_both;
}

static void add_row(uint64_t *to, const uint64_t *from, size_t words)
{
	for (size_t w = 0; w < words; w++)
		to[w] |= from[w];
}

/*
 * Returns the best place for the layer at index `at`. `below` has the rows of the updates
 * that change a layer below each index, and two more rows.
 */
static size_t find_place(const struct chain_stack *s, size_t at, uint64_t *below)
{
	const struct affinity *k = s->k;
	uint64_t *seen = below + s->n * k->words, *row = seen + k->words;
	const uint64_t *own = s->update[at];
	double change = 0, least = -rounding * s->size[at] * k->weight;
	size_t to = at;

	memcpy(seen, below + at * k->words, k->words * sizeof *seen);
	double weight = weigh_new(k, own, own, seen, row);
	for (size_t i = at + 1; i < s->n; i++) {
		const uint64_t *other = s->update[i];
		double its = weigh_new(k, other, other, seen, row);
		double both = weigh_new(k, own, other, seen, row);
		change += change_of_swap(s->size[at], weight, s->size[i], its, both);
		if (change < least) {
			least = change;
			to = i;
		}
		add_row(seen, other, k->words);
		weight = both - its;
	}
	change = 0;
	for (size_t i = at; i-- > 0;) {
		const uint64_t *other = s->update[i];
		const uint64_t *under = below + i * k->words;
		double its = weigh_new(k, other, other, under, row);
		double both = weigh_new(k, own, other, under, row);
		weight = weigh_new(k, own, own, under, row);
		change += change_of_swap(s->size[i], its, s->size[at], weight, both);
		if (change < least) {
			least = change;
			to = i;
		}
	}
	return to;
}

static void move_layer(struct chain_stack *s, size_t at, size_t to)
{
	double size = s->size[at];
	uint64_t *update = s->update[at];
	uint32_t id = s->id[at];

	for (; at < to; at++) {
		s->size[at] = s->size[at + 1];
		s->update[at] = s->update[at + 1];
		s->id[at] = s->id[at + 1];
	}
	for (; at > to; at--) {
		s->size[at] = s->size[at - 1];
		s->update[at] = s->update[at - 1];
		s->id[at] = s->id[at - 1];
	}
	s->size[to] = size;
	s->update[to] = update;
	s->id[to] = id;
}

static void fill_below(const struct chain_stack *s, uint64_t *below)
{
	size_t words = s->k->words;

	for (size_t i = 0; i + 1 < s->n; i++) {
		uint64_t *next = below + (i + 1) * words;
		memcpy(next, below + i * words, words * sizeof *below);
		add_row(next, s->update[i], words);
	}
}

bool chain_sort(struct chain_stack *s)
{
	size_t words = s->k->words;
	bool moved = true, ever = false;

	if (s->n * s->n * words > CHAIN_WORK)
		return false;
	uint64_t *below = mem_zero((s->n + 2) * words, sizeof *below);
	fill_below(s, below);
	for (int pass = 0; moved && pass < PASSES_MAX; pass++) {
		moved = false;
		for (size_t at = 0; at < s->n; at++) {
			size_t to = find_place(s, at, below);
			if (to == at)
				continue;
			move_layer(s, at, to);
			fill_below(s, below);
			moved = ever = true;
		}
	}
	free(below);
	return ever;
}
