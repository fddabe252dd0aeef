#include "plan/popularity.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "plan/adjacency.h"
#include "plan/plan.h"
#include "store/graph.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * The number of reference chains ("ways") grows exponentially with the depth of a graph
 * and does not fit into a machine word. So all numbers are computed digit by digit, the
 * lowest first, like an addition on paper. A digit has DIGIT_BITS bits and is stored in
 * 128 bits. So 2^32 digits, one for each node, can be added before a carry is needed.
 */
typedef unsigned __int128 digit;

enum { DIGIT_BITS = 96, BLOCK = 64, GROUP = 8, SUMS = 1 << GROUP };

static const digit digit_mask = ((digit)1 << DIGIT_BITS) - 1;

/*
 * The state of the computation of one digit. Nodes are identified by their place in the
 * adjacency.
 */
struct tally {
	struct adjacency r;
	digit *ways, *score;  /* current digit of both numbers */
	uint64_t *ways_carry; /* carry into the next digit */
	uint64_t *score_carry;
	uint64_t *mask; /* places of a block that lead to this place; 0 between uses */
};

/* A place, and its rank in the order by all digits so far. */
struct item {
	digit score;
	uint32_t rank, place;
};

struct key {
	const char *text;
	uint32_t place;
};

static void tally_release(struct tally *t)
{
	adjacency_release(&t->r);
	free(t->ways);
	free(t->score);
	free(t->ways_carry);
	free(t->score_carry);
	free(t->mask);
}

static int tally_init(struct tally *t, const struct graph *g, struct err *e)
{
	*t = (struct tally){0};
	if (adjacency_init(&t->r, g, e) < 0)
		return -1;
	size_t n = t->r.n;
	t->ways = mem_zero(n, sizeof *t->ways);
	t->score = mem_zero(n, sizeof *t->score);
	t->ways_carry = mem_zero(n, sizeof *t->ways_carry);
	t->score_carry = mem_zero(n, sizeof *t->score_carry);
	t->mask = mem_zero(n, sizeof *t->mask);
	/* Each root has one way, which is added to the lowest digit as a carry. */
	for (size_t v = 0; v < n; v++)
		t->ways_carry[v] = t->r.up.first[v] == t->r.up.first[v + 1];
	return 0;
}

/* Computes the ways to each node: the sum of the ways to its referrers. */
static void count_ways(struct tally *t)
{
	const struct edges *down = &t->r.down;

	for (size_t v = 0; v < t->r.n; v++)
		t->ways[v] = t->ways_carry[v];
	for (size_t v = t->r.n; v-- > 0;) {
		digit sum = t->ways[v];
		t->ways_carry[v] = (uint64_t)(sum >> DIGIT_BITS);
		t->ways[v] = sum &= digit_mask;
		for (size_t i = down->first[v]; sum != 0 && i < down->first[v + 1]; i++)
			t->ways[down->to[i]] += sum;
	}
}

/* Sets sums[b] to the sum of those ways[i] whose bit i is set in b. */
static void sum_subsets(const digit *ways, size_t n, digit sums[SUMS])
{
	sums[0] = 0;
	for (size_t i = 0; i < GROUP; i++)
		for (size_t b = 0; b < (size_t)1 << i; b++)
			sums[b | (size_t)1 << i] = sums[b] + (i < n ? ways[i] : 0);
}

/*
 * For up to BLOCK places before `end`, adds the ways to each place to the scores of all
 * its needs. A complete table of needs has n * n bits. So each node has a mask of the
 * places in the block that lead to it, and the masks are passed down the graph.
 */
static void add_block(struct tally *t, size_t end)
{
	const struct edges *down = &t->r.down;
	digit sums[BLOCK / GROUP][SUMS];
	size_t n = end < BLOCK ? end : BLOCK, start = end - n, used = 0;

	for (size_t i = 0; i < n; i++)
		used += t->ways[start + i] != 0;
	if (used == 0)
		return;
	for (size_t k = 0; k < BLOCK / GROUP; k++) {
		size_t at = k * GROUP;
		sum_subsets(t->ways + start + at, at < n ? n - at : 0, sums[k]);
	}
	for (size_t v = end; v-- > 0;) {
		uint64_t mask = t->mask[v];
		if (v >= start)
			mask |= (uint64_t)1 << (v - start);
		if (mask == 0)
			continue;
		t->mask[v] = 0;
		for (size_t i = down->first[v]; i < down->first[v + 1]; i++)
			t->mask[down->to[i]] |= mask;
		digit sum = 0;
		for (size_t k = 0; k < BLOCK / GROUP; k++)
			sum += sums[k][mask >> (k * GROUP) & (SUMS - 1)];
		t->score[v] += sum;
	}
}

/* Computes the next digit of all scores. Returns whether there are more digits. */
static bool next_digit(struct tally *t)
{
	size_t n = t->r.n;
	uint64_t carries = 0;

	count_ways(t);
	for (size_t v = 0; v < n; v++)
		t->score[v] = t->score_carry[v];
	for (size_t end = n; end > 0; end -= end < BLOCK ? end : BLOCK)
		add_block(t, end);
	for (size_t v = 0; v < n; v++) {
		t->score_carry[v] = (uint64_t)(t->score[v] >> DIGIT_BITS);
		t->score[v] &= digit_mask;
		carries |= t->ways_carry[v] | t->score_carry[v];
	}
	return carries != 0;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(((const struct key *)a)->text, ((const struct key *)b)->text);
}

/* Returns all places, sorted by name. */
static struct item *items_by_name(const struct tally *t, const struct graph *g)
{
	struct item *items = mem_zero(t->r.n, sizeof *items);
	struct key *keys = mem_zero(t->r.n, sizeof *keys);
	struct buf text = {0};

	for (size_t p = 0; p < t->r.n; p++) {
		const char *path = g->paths.name[t->r.node[p]], *name = store_name(path);
		if (name > path && name[-1] == '-')
			buf_addf(&text, "%s-%.*s", name, (int)(name - path) - 1, path);
		else
			buf_addstr(&text, path);
		buf_addch(&text, '\0');
	}
	const char *next = text.data;
	for (size_t p = 0; p < t->r.n; p++, next += strlen(next) + 1)
		keys[p] = (struct key){next, (uint32_t)p};
	qsort(keys, t->r.n, sizeof *keys, compare_keys);
	for (size_t i = 0; i < t->r.n; i++)
		items[i].place = keys[i].place;
	free(keys);
	buf_release(&text);
	return items;
}

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Stable sorting by each digit, the lowest first, sorts by the complete numbers. */
static void sort_by_digit(const struct tally *t, struct item *items)
{
	for (size_t i = 0; i < t->r.n; i++) {
		items[i].rank = (uint32_t)i;
		items[i].score = t->score[items[i].place];
	}
	qsort(items, t->r.n, sizeof *items, compare_items);
}

/* Appends a number of `n` digits, the lowest first. The digits are overwritten. */
static void add_decimal(struct buf *out, digit *digits, size_t n)
{
	static const uint64_t chunk = 1000000000;
	uint64_t *chunks = mem_zero(n * DIGIT_BITS / 29 + 1, sizeof *chunks);
	size_t n_chunks = 0;

	do {
		digit rest = 0;
		for (size_t i = n; i-- > 0;) {
			rest = rest << DIGIT_BITS | digits[i];
			digits[i] = rest / chunk;
			rest %= chunk;
		}
		chunks[n_chunks++] = (uint64_t)rest;
		while (n > 0 && digits[n - 1] == 0)
			n--;
	} while (n > 0);
	buf_addf(out, "%" PRIu64, chunks[--n_chunks]);
	while (n_chunks > 0)
		buf_addf(out, "%09" PRIu64, chunks[--n_chunks]);
	free(chunks);
}

int popularity_order(const struct graph *g, uint32_t *order, struct buf *scores,
		     struct err *e)
{
	struct tally t;
	digit *kept = NULL; /* n_digits for each place */
	size_t n_digits = 0;

	if (tally_init(&t, g, e) < 0) {
		tally_release(&t);
		return -1;
	}
	struct item *items = items_by_name(&t, g);
	for (bool more = true; more; n_digits++) {
		more = next_digit(&t);
		sort_by_digit(&t, items);
		if (scores == NULL)
			continue;
		kept = mem_resize(kept, n_digits + 1, t.r.n * sizeof *kept);
		memcpy(kept + n_digits * t.r.n, t.score, t.r.n * sizeof *kept);
	}
	digit *number = mem_zero(n_digits, sizeof *number);
	for (size_t i = 0; i < t.r.n; i++) {
		order[i] = t.r.node[items[i].place];
		if (scores == NULL)
			continue;
		for (size_t d = 0; d < n_digits; d++)
			number[d] = kept[d * t.r.n + items[i].place];
		add_decimal(scores, number, n_digits);
		buf_addf(scores, " %s\n", g->paths.name[order[i]]);
	}
	free(number);
	free(kept);
	free(items);
	tally_release(&t);
	return 0;
}

int popularity_plan(const struct graph *g, size_t limit, struct plan *p, struct err *e)
{
	uint32_t *order = mem_zero(g->paths.n, sizeof *order);
	int result = popularity_order(g, order, NULL, e);

	for (size_t i = 0; result == 0 && i < g->paths.n; i++) {
		plan_add(p, order[i]);
		if (i + 1 < limit)
			plan_close(p);
	}
	plan_close(p);
	free(order);
	return result;
}
