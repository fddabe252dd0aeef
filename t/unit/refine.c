#include "plan/refine.h"

#include "base/buf.h"
#include "base/err.h"
#include "plan/adjacency.h"
#include "plan/affinity.h"
#include "plan/chain.h"
#include "plan/cluster.h"
#include "store/graph.h"

#include "tap.h"

#include <math.h>
#include <stdint.h>

enum { PATHS = 12, LAYERS = 4 };

/* A random graph: whether an update of one path changes another one. */
struct made {
	double size[PATHS], weight[PATHS];
	bool changes[PATHS][PATHS];
	struct buf text;
};

static unsigned next_random(unsigned *state)
{
	*state = *state * 1103515245 + 12345;
	return *state >> 16;
}

static void make(struct made *m, unsigned seed)
{
	unsigned state = seed;

	*m = (struct made){.text = {0}};
	for (unsigned v = 0; v < PATHS; v++) {
		m->size[v] = (double)(1u << next_random(&state) % 10);
		m->weight[v] = 1 + next_random(&state) % 4;
		m->changes[v][v] = true;
		buf_addf(&m->text, "p%02u %.0f", v, m->size[v]);
		for (unsigned u = 0; u < v; u++) {
			if (next_random(&state) % 4 != 0)
				continue;
			buf_addf(&m->text, " p%02u", u);
			for (unsigned x = 0; x < PATHS; x++)
				m->changes[x][v] |= m->changes[x][u];
		}
		buf_addch(&m->text, '\n');
	}
}

/* The cost without sharing, by its definition: update by update. */
static double cost_of(const struct made *m, double chain, const uint32_t *group)
{
	double cost = 0, sum = 0;

	for (unsigned x = 0; x < PATHS; x++) {
		bool hit[LAYERS] = {false};
		double set = 0, stack = 0;
		unsigned lowest = LAYERS;
		for (unsigned v = 0; v < PATHS; v++) {
			if (!m->changes[x][v])
				continue;
			hit[group[v]] = true;
			lowest = group[v] < lowest ? group[v] : lowest;
		}
		for (unsigned v = 0; v < PATHS; v++) {
			set += hit[group[v]] ? m->size[v] : 0;
			stack += group[v] >= lowest ? m->size[v] : 0;
		}
		cost += m->weight[x] * (set + chain * stack);
		sum += m->weight[x];
	}
	return cost / sum;
}

/* Whether no move of a path of a layer without kept[] lowers the cost. */
static bool is_best(const struct made *m, double chain, const bool *kept, uint32_t *group)
{
	double cost = cost_of(m, chain, group);

	for (unsigned v = 0; v < PATHS; v++) {
		uint32_t own = group[v];
		for (uint32_t to = 0; to < LAYERS; to++) {
			if (kept != NULL && (kept[own] || kept[to]))
				continue;
			group[v] = to;
			bool is_better = cost_of(m, chain, group) < cost * (1 - 1e-6);
			group[v] = own;
			if (is_better)
				return false;
		}
	}
	return true;
}

/* The atoms are in the order of the paths p00, p01 and so on. */
static void test_random(void)
{
	bool exact = true, lower = true, best = true, stays = true, best_kept = true;
	bool exact_cut = true, cut_lower = true, other_cut = false;

	for (unsigned seed = 1; seed <= 100; seed++) {
		const struct cluster_model model = {0, seed % 2 == 0 ? 0.1 : 2};
		const bool kept[LAYERS] = {false, true, false, true};
		uint32_t group[PATHS], before[PATHS], order[PATHS];
		struct graph g = {0};
		struct adjacency r;
		struct affinity k;
		struct made m;
		struct err e;
		make(&m, seed);
		if (graph_parse(&g, m.text.data, m.text.len, "text", &e) < 0 ||
		    adjacency_init(&r, &g, &e) < 0)
			abort();
		affinity_init(&k, &g, &r, m.weight, NULL);

		for (unsigned v = 0; v < PATHS; v++)
			group[v] = before[v] = v * 7 % LAYERS;
		double first = cost_of(&m, model.chain, group);
		double cost = refine_layers(&k, &model, LAYERS, NULL, group);
		exact =
		    exact && fabs(cost - cost_of(&m, model.chain, group)) < 1e-6 * cost;
		lower = lower && cost <= first;
		best = best && is_best(&m, model.chain, NULL, group);

		for (unsigned v = 0; v < PATHS; v++)
			group[v] = before[v];
		refine_layers(&k, &model, LAYERS, kept, group);
		for (unsigned v = 0; v < PATHS; v++)
			stays = stays && (group[v] == before[v] ||
					  !(kept[before[v]] || kept[group[v]]));
		best_kept = best_kept && is_best(&m, model.chain, kept, group);

		/* No cut of the order costs less than this one. */
		chain_order(&k, order);
		exact_cut = exact_cut && refine_cut(&k, &model, LAYERS, order, group);
		double least = cost_of(&m, model.chain, group);
		for (unsigned cuts = 0; cuts < 1u << (PATHS - 1); cuts++) {
			uint32_t layer = 0;
			for (unsigned i = 0; i < PATHS && layer < LAYERS; i++) {
				before[order[i]] = layer;
				layer += cuts >> i & 1;
			}
			if (layer != LAYERS - 1)
				continue;
			cost = cost_of(&m, model.chain, before);
			cut_lower = cut_lower && least <= cost * (1 + 1e-6);
			other_cut = other_cut || cost > least * 1.5;
		}
		affinity_release(&k);
		adjacency_release(&r);
		graph_release(&g);
		buf_release(&m.text);
	}
	tap_ok(exact, "the cost is that of the definition");
	tap_ok(lower, "it is not higher than before");
	tap_ok(best, "no move of a path lowers it");
	tap_ok(stays, "layers are kept");
	tap_ok(best_kept, "no move between the others lowers the cost");
	tap_ok(exact_cut && cut_lower, "no other cut of the order costs less");
	tap_ok(other_cut, "there are cuts that cost much more");
}

int main(void)
{
	test_random();
	return tap_done();
}
