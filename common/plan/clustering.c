#include "plan/clustering.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

void clustering_init(struct clustering *c, size_t n)
{
	*c = (struct clustering){.n = n, .n_alive = n};
	c->alive = mem_zero(n, sizeof *c->alive);
	c->nearest = mem_zero(n, sizeof *c->nearest);
	c->score = mem_zero(n, sizeof *c->score);
	for (size_t i = 0; i < n; i++)
		c->alive[i] = (uint32_t)i;
}

void clustering_release(struct clustering *c)
{
	free(c->alive);
	free(c->nearest);
	free(c->score);
	*c = (struct clustering){0};
}

void clustering_drop(struct clustering *c, uint32_t from)
{
	size_t kept = 0;

	for (size_t at = 0; at < c->n_alive; at++)
		if (c->alive[at] != from)
			c->alive[kept++] = c->alive[at];
	c->n_alive = kept;
}

static void find_nearest(struct clustering *c, const struct clustering_rule *rule,
			 uint32_t i)
{
	c->nearest[i] = i;
	c->score[i] = INFINITY;
	for (size_t at = 0; at < c->n_alive; at++) {
		uint32_t j = c->alive[at];
		double score = j == i ? INFINITY : rule->score(rule->arg, i, j);
		if (score >= c->score[i])
			continue;
		c->nearest[i] = j;
		c->score[i] = score;
	}
}

static void merge(struct clustering *c, const struct clustering_rule *rule, uint32_t to,
		  uint32_t from)
{
	clustering_drop(c, from);
	rule->join(rule->arg, to, from);
	find_nearest(c, rule, to);
	for (size_t at = 0; at < c->n_alive; at++) {
		uint32_t j = c->alive[at];
		if (j == to)
			continue;
		if (c->nearest[j] == to || c->nearest[j] == from) {
			find_nearest(c, rule, j);
			continue;
		}
		double score = rule->score(rule->arg, j, to);
		if (score < c->score[j]) {
			c->nearest[j] = to;
			c->score[j] = score;
		}
	}
}

/*
 * Returns the group that is best to merge now with its nearest[]. Old scores are lower
 * bounds, so only the best is checked.
 */
static uint32_t find_best(struct clustering *c, const struct clustering_rule *rule)
{
	for (;;) {
		uint32_t best = c->alive[0];
		for (size_t at = 1; at < c->n_alive; at++)
			if (c->score[c->alive[at]] < c->score[best])
				best = c->alive[at];
		uint32_t near = c->nearest[best];
		if (near == best || rule->score(rule->arg, best, near) == c->score[best])
			return best;
		find_nearest(c, rule, best);
	}
}

void clustering_run(struct clustering *c, const struct clustering_rule *rule,
		    uint32_t *group)
{
	if (rule->is_done(rule->arg))
		return;
	for (size_t at = 0; at < c->n_alive; at++)
		find_nearest(c, rule, c->alive[at]);
	do {
		uint32_t to = find_best(c, rule), from = c->nearest[to];
		if (from == to)
			break;
		merge(c, rule, to, from);
		for (size_t i = 0; i < c->n; i++)
			if (group[i] == from)
				group[i] = to;
	} while (!rule->is_done(rule->arg));
}
