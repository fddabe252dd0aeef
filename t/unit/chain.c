#include "plan/chain.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "plan/adjacency.h"
#include "plan/affinity.h"
#include "store/graph.h"

#include "tap.h"

#include <stdint.h>
#include <stdlib.h>

/* A graph with its affinity. */
struct fixture {
	struct graph graph;
	struct adjacency adjacency;
	struct affinity affinity;
};

/* weight[i] is the weight of the path in line i; NULL for none. */
static void begin(struct fixture *f, const char *text, const double *weight)
{
	struct err e;

	*f = (struct fixture){0};
	if (graph_parse(&f->graph, text, strlen(text), "text", &e) < 0 ||
	    adjacency_init(&f->adjacency, &f->graph, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	affinity_init(&f->affinity, &f->graph, &f->adjacency, weight, NULL);
}

static void end(struct fixture *f)
{
	affinity_release(&f->affinity);
	adjacency_release(&f->adjacency);
	graph_release(&f->graph);
}

static const char *name_of(const struct fixture *f, uint32_t atom)
{
	const struct affinity *k = &f->affinity;

	return f->graph.paths.name[f->adjacency.node[k->place[k->first[atom]]]];
}

/* --- chain_order() --- */

static void orders(const char *text, const double *weight, const char *want,
		   const char *what)
{
	struct fixture f;
	struct buf out = {0};

	begin(&f, text, weight);
	uint32_t *order = mem_zero(f.affinity.n, sizeof *order);
	chain_order(&f.affinity, order);
	for (size_t i = 0; i < f.affinity.n; i++)
		buf_addf(&out, "%s%s", i > 0 ? " " : "", name_of(&f, order[i]));
	tap_is(out.data, want, what);
	free(order);
	buf_release(&out);
	end(&f);
}

static void test_order(void)
{
	static const double font_only[] = {0, 0, 1}, app_often[] = {1, 99, 1};

	orders("a 1\n", NULL, "a", "one path");
	orders("a 0\nb 0 a\n", NULL, "a b", "paths without bytes");
	orders("big 4096\nsmall 16\n", NULL, "big small",
	       "large paths are at the bottom");
	orders("app 4096 lib\nlib 16\n", NULL, "lib app",
	       "a path is above what it needs, whatever its size");
	/*
	 * The updates of font, app and lib send 64 + 1088 + 1152. With font at the
	 * bottom, they send 1152 + 1024 + 1088.
	 */
	orders("app 1024 lib\nlib 64\nfont 64\n", NULL, "lib app font",
	       "a small path is above a large one and its needs");
	/* They send 592 + 64 + 80. With font at the top, they send 512 + 576 + 592. */
	orders("app 64 lib\nlib 16\nfont 512\n", NULL, "font lib app",
	       "a small path goes up together with its dependents");
	orders("app 64 lib\nlib 16\nfont 512\n", font_only, "lib app font",
	       "a path that changes alone is at the top");
	orders("a 64\nb 512\nc 64 a\n", app_often, "a c b", "an update has its weight");
}

/* The sum that chain_order() minimizes, of an order from the bottom. */
static double sum_of(const double *size, const double *weight, const unsigned *order,
		     size_t n)
{
	double sum = 0, above = 0;

	for (size_t i = n; i-- > 0;) {
		above += size[order[i]];
		sum += weight[order[i]] * above;
	}
	return sum;
}

/* Finds the least sum of all orders of the paths that are not in order[n..] yet. */
static void find_least(const bool (*needs)[6], const double *size, const double *weight,
		       unsigned *order, size_t n, unsigned used, double *least)
{
	if (n == 6) {
		double sum = sum_of(size, weight, order, 6);
		*least = sum < *least ? sum : *least;
		return;
	}
	for (unsigned v = 0; v < 6; v++) {
		bool is_free = (used >> v & 1) == 0;
		for (unsigned u = 0; u < 6; u++)
			is_free = is_free && (!needs[v][u] || (used >> u & 1) != 0);
		if (!is_free)
			continue;
		order[n] = v;
		find_least(needs, size, weight, order, n + 1, used | 1u << v, least);
	}
}

/* Compares the order of random graphs of six paths with the best of all orders. */
static void test_random(void)
{
	unsigned state = 1, n_best = 0;
	double worst = 1;
	bool kept = true;

	for (unsigned seed = 0; seed < 200; seed++) {
		bool needs[6][6] = {{false}};
		double size[6], weight[6], least = 1e300;
		unsigned order[6];
		struct buf text = {0};
		struct fixture f;
		for (unsigned v = 0; v < 6; v++) {
			state = state * 1103515245 + 12345;
			size[v] = (double)(1u << (state >> 16) % 8);
			weight[v] = 1 + (state >> 20) % 5;
			buf_addf(&text, "p%u %.0f", v, size[v]);
			for (unsigned u = 0; u < v; u++) {
				state = state * 1103515245 + 12345;
				needs[v][u] = (state >> 16) % 3 == 0;
				if (needs[v][u])
					buf_addf(&text, " p%u", u);
			}
			buf_addch(&text, '\n');
		}
		find_least(needs, size, weight, order, 0, 0, &least);
		begin(&f, text.data, weight);
		uint32_t atoms[6];
		chain_order(&f.affinity, atoms);
		for (unsigned i = 0; i < 6; i++)
			order[i] = (unsigned)(name_of(&f, atoms[i])[1] - '0');
		for (unsigned i = 0; i < 6; i++)
			for (unsigned j = 0; j < i; j++)
				kept = kept && !needs[order[j]][order[i]];
		double ratio = sum_of(size, weight, order, 6) / least;
		worst = ratio > worst ? ratio : worst;
		n_best += ratio < 1 + 1e-9;
		end(&f);
		buf_release(&text);
	}
	tap_ok(kept, "in random graphs, each path is above what it needs");
	tap_ok(n_best >= 190, "nearly all orders are the best of all orders");
	tap_ok(worst < 1.1, "and the others are nearly as good");
}

/* --- chain_sort() --- */

static void test_sort(void)
{
	struct fixture f;
	const struct affinity *k = &f.affinity;

	/* Atoms are in the order of names. */
	begin(&f, "app 64 lib\nfont 512\nlib 16\n", NULL);
	double size[3] = {k->size[0], k->size[1], k->size[2]};
	uint64_t *update[3] = {k->update, k->update + k->words, k->update + 2 * k->words};
	uint32_t id[3] = {10, 11, 12};
	struct chain_stack s = {k, 3, size, update, id};
	tap_ok(chain_sort(&s), "a stack in a bad order is sorted");
	tap_ok(id[0] == 11 && id[1] == 12 && id[2] == 10,
	       "the large layer is at the bottom, the application at the top");
	tap_ok(size[0] == 512 && update[0] == k->update + k->words,
	       "size and updates move with the layer");
	tap_ok(!chain_sort(&s), "a sorted stack stays");
	s.n = 1;
	tap_ok(!chain_sort(&s), "so does a single layer");
	end(&f);
}

int main(void)
{
	test_order();
	test_random();
	test_sort();
	return tap_done();
}
