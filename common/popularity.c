#include "popularity.h"

#include "buf.h"
#include "err.h"
#include "graph.h"
#include "mem.h"
#include "plan.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * The number of ways grows exponentially with the depth of a graph and fits no machine
 * word. So all numbers are computed a digit at a time, the lowest first, as one adds on
 * paper. A digit is DIGIT_BITS wide and kept in 128 bits: one for each of 2^32 nodes can
 * be summed before a carry has to be taken off.
 */
typedef unsigned __int128 digit;

enum { DIGIT_BITS = 96, BLOCK = 64, GROUP = 8, SUMS = 1 << GROUP };

static const digit digit_mask = ((digit)1 << DIGIT_BITS) - 1;

/*
 * What one digit's turn works on. Nodes go by their place in an order with referrers
 * before their references.
 */
struct tally {
	size_t n;
	uint32_t *node;       /* place -> number in the graph */
	size_t *first;        /* the references of place p: ref[first[p]..first[p + 1]) */
	uint32_t *ref;        /* as places, all of them behind p */
	digit *ways, *score;  /* this digit of both numbers */
	uint64_t *ways_carry; /* into the next digit */
	uint64_t *score_carry; /* likewise */
	uint64_t *mask; /* who of a block of places leads to this one; 0 between uses */
};

/* A place, and where it stands in the order by all digits so far. */
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
	free(t->node);
	free(t->first);
	free(t->ref);
	free(t->ways);
	free(t->score);
	free(t->ways_carry);
	free(t->score_carry);
	free(t->mask);
}

static int tally_init(struct tally *t, const struct graph *g, struct err *e)
{
	size_t n = g->paths.n, n_refs = 0;

	*t = (struct tally){.n = n, .node = mem_zero(n, sizeof *t->node)};
	if (graph_sort(g, t->node, e) < 0)
		return -1;
	for (size_t i = 0; i < n / 2; i++) {
		uint32_t node = t->node[i];
		t->node[i] = t->node[n - 1 - i];
		t->node[n - 1 - i] = node;
	}
	uint32_t *place = mem_zero(n, sizeof *place);
	for (size_t p = 0; p < n; p++) {
		place[t->node[p]] = (uint32_t)p;
		n_refs += g->node[p].n_refs;
	}
	t->first = mem_zero(n + 1, sizeof *t->first);
	t->ref = mem_zero(n_refs, sizeof *t->ref);
	t->ways = mem_zero(n, sizeof *t->ways);
	t->score = mem_zero(n, sizeof *t->score);
	t->ways_carry = mem_zero(n, sizeof *t->ways_carry);
	t->score_carry = mem_zero(n, sizeof *t->score_carry);
	t->mask = mem_zero(n, sizeof *t->mask);
	for (size_t p = 0; p < n; p++) {
		const struct graph_node *node = &g->node[t->node[p]];
		t->first[p + 1] = t->first[p] + node->n_refs;
		for (size_t i = 0; i < node->n_refs; i++)
			t->ref[t->first[p] + i] = place[node->refs[i]];
	}
	free(place);

	/* To the lowest digit, the one way to each root comes in as a carry. */
	for (size_t p = 0; p < n; p++)
		t->ways_carry[p] = 1;
	for (size_t i = 0; i < n_refs; i++)
		t->ways_carry[t->ref[i]] = 0;
	return 0;
}

/* The ways to a node are those to its referrers, summed. */
static void count_ways(struct tally *t)
{
	for (size_t p = 0; p < t->n; p++)
		t->ways[p] = t->ways_carry[p];
	for (size_t p = 0; p < t->n; p++) {
		digit sum = t->ways[p];
		t->ways_carry[p] = (uint64_t)(sum >> DIGIT_BITS);
		t->ways[p] = sum &= digit_mask;
		for (size_t i = t->first[p]; sum != 0 && i < t->first[p + 1]; i++)
			t->ways[t->ref[i]] += sum;
	}
}

/* sums[b] becomes the sum of those ways[i] whose bit i is set in b. */
static void sum_subsets(const digit *ways, size_t n, digit sums[SUMS])
{
	sums[0] = 0;
	for (size_t i = 0; i < GROUP; i++)
		for (size_t b = 0; b < (size_t)1 << i; b++)
			sums[b | (size_t)1 << i] = sums[b] + (i < n ? ways[i] : 0);
}

/*
 * Adds the ways to each of up to BLOCK places, from `start` on, to the scores of all
 * that they lead to. A whole table of who leads to whom would have n * n bits; a block's
 * worth of it goes down the graph as a mask a node.
 */
static void add_block(struct tally *t, size_t start)
{
	digit sums[BLOCK / GROUP][SUMS];
	size_t n = t->n - start < BLOCK ? t->n - start : BLOCK, used = 0;

	for (size_t i = 0; i < n; i++)
		used += t->ways[start + i] != 0;
	if (used == 0)
		return;
	for (size_t k = 0; k < BLOCK / GROUP; k++) {
		size_t at = k * GROUP;
		sum_subsets(t->ways + start + at, at < n ? n - at : 0, sums[k]);
	}
	for (size_t p = start; p < t->n; p++) {
		uint64_t mask = t->mask[p];
		if (p < start + n)
			mask |= (uint64_t)1 << (p - start);
		if (mask == 0)
			continue;
		t->mask[p] = 0;
		for (size_t i = t->first[p]; i < t->first[p + 1]; i++)
			t->mask[t->ref[i]] |= mask;
		digit sum = 0;
		for (size_t k = 0; k < BLOCK / GROUP; k++)
			sum += sums[k][mask >> (k * GROUP) & (SUMS - 1)];
		t->score[p] += sum;
	}
}

/* Computes the next digit of all scores. Returns whether there are higher ones. */
static bool next_digit(struct tally *t)
{
	uint64_t carries = 0;

	count_ways(t);
	for (size_t p = 0; p < t->n; p++)
		t->score[p] = t->score_carry[p];
	for (size_t start = 0; start < t->n; start += BLOCK)
		add_block(t, start);
	for (size_t p = 0; p < t->n; p++) {
		t->score_carry[p] = (uint64_t)(t->score[p] >> DIGIT_BITS);
		t->score[p] &= digit_mask;
		carries |= t->ways_carry[p] | t->score_carry[p];
	}
	return carries != 0;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(((const struct key *)a)->text, ((const struct key *)b)->text);
}

/* All places in the order of their names. */
static struct item *items_by_name(const struct tally *t, const struct graph *g)
{
	struct item *items = mem_zero(t->n, sizeof *items);
	struct key *keys = mem_zero(t->n, sizeof *keys);
	struct buf text = {0};

	for (size_t p = 0; p < t->n; p++) {
		const char *path = g->paths.name[t->node[p]], *dash = strchr(path, '-');
		if (dash != NULL) {
			buf_addf(&text, "%s-", dash + 1);
			buf_add(&text, path, (size_t)(dash - path));
		} else {
			buf_addstr(&text, path);
		}
		buf_addch(&text, '\0');
	}
	const char *next = text.data;
	for (size_t p = 0; p < t->n; p++, next += strlen(next) + 1)
		keys[p] = (struct key){next, (uint32_t)p};
	qsort(keys, t->n, sizeof *keys, compare_keys);
	for (size_t i = 0; i < t->n; i++)
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

/* Sorting by one digit after the other, the lowest first, sorts by the whole numbers. */
static void sort_by_digit(const struct tally *t, struct item *items)
{
	for (size_t i = 0; i < t->n; i++) {
		items[i].rank = (uint32_t)i;
		items[i].score = t->score[items[i].place];
	}
	qsort(items, t->n, sizeof *items, compare_items);
}

/* Appends a number of `n` digits, the lowest first, which are used up. */
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
	digit *kept = NULL; /* n_digits a place */
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
		kept = mem_resize(kept, n_digits + 1, t.n * sizeof *kept);
		memcpy(kept + n_digits * t.n, t.score, t.n * sizeof *kept);
	}
	digit *number = mem_zero(n_digits, sizeof *number);
	for (size_t i = 0; i < t.n; i++) {
		order[i] = t.node[items[i].place];
		if (scores == NULL)
			continue;
		for (size_t d = 0; d < n_digits; d++)
			number[d] = kept[d * t.n + items[i].place];
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
