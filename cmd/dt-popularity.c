/*
 * dt-popularity: a graph on stdin, a plan on stdout.
 *
 * Decides which store paths share a layer. The plan has a line per layer, the bottom
 * layer first.
 */
#include "autolayer.h"
#include "buf.h"
#include "err.h"
#include "graph.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "opt.h"
#include "pipeline.h"
#include "plan.h"
#include "popularity.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GRAPH_LIMIT = 1 << 28 };

struct options {
	const struct strategy *strategy;
	size_t max_layers;
	bool rank;
	const char *pipeline; /* a file, NULL for none */
};

/* A way to group the paths of a graph; 0, or -1 and what is wrong with the graph. */
struct strategy {
	const char *name;
	int (*plan)(const struct graph *g, size_t max_layers, struct plan *p,
		    struct err *e);
};

/* The most popular paths get a layer each, what is left shares the last one. */
static int plan_popularity(const struct graph *g, size_t max_layers, struct plan *p,
			   struct err *e)
{
	uint32_t *order = mem_zero(g->paths.n, sizeof *order);
	int result = popularity_order(g, order, NULL, e);

	for (size_t i = 0; result == 0 && i < g->paths.n; i++) {
		plan_add(p, order[i]);
		if (i + 1 < max_layers)
			plan_close(p);
	}
	plan_close(p);
	free(order);
	return result;
}

static const struct strategy strategies[] = {
    {"popularity", plan_popularity},
    {"auto", autolayer_plan},
};

enum { N_STRATEGIES = sizeof strategies / sizeof *strategies };

static const struct strategy *find_strategy(const char *name)
{
	struct buf known = {0};

	for (size_t i = 0; i < N_STRATEGIES; i++) {
		if (strcmp(strategies[i].name, name) == 0)
			return &strategies[i];
		buf_addf(&known, "%s'%s'", i == 0 ? "" : " or ", strategies[i].name);
	}
	die_usage("--strategy takes %s, not '%s'", known.data, name);
}

enum { OPT_MAX_LAYERS = 1, OPT_PIPELINE, OPT_RANK, OPT_STRATEGY };

static const struct opt option_table[] = {
    {OPT_MAX_LAYERS, "max-layers", "N", "plan at most N layers (100)"},
    {OPT_STRATEGY, "strategy", "NAME", "how to group paths (popularity)"},
    {OPT_PIPELINE, "pipeline", "FILE", "group paths by the operations in FILE"},
    {OPT_RANK, "rank", NULL, "no plan: scores and paths, the most popular first"},
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... <GRAPH >PLAN",
    .purpose = "Reads a graph and writes a plan, a line of store paths a layer.",
    .options = option_table,
};

static void parse_args(int argc, char **argv, struct options *o)
{
	int key;

	*o = (struct options){.strategy = &strategies[0], .max_layers = 100};
	while ((key = opt_next(argc, argv, &tool)) != -1) {
		switch (key) {
		case OPT_MAX_LAYERS:
			o->max_layers = num_option("max-layers", optarg, 1, UINT32_MAX);
			break;
		case OPT_PIPELINE:
			o->pipeline = optarg;
			break;
		case OPT_RANK:
			o->rank = true;
			break;
		case OPT_STRATEGY:
			o->strategy = find_strategy(optarg);
			break;
		}
	}
	if (optind < argc)
		die_usage("unexpected operand '%s'", argv[optind]);
}

static void read_graph(struct graph *g)
{
	struct buf text = {0};
	struct err e;

	if (io_slurp(STDIN_FILENO, &text, GRAPH_LIMIT) < 0) {
		if (errno == EFBIG)
			die("stdin: more than %d bytes of graph", GRAPH_LIMIT);
		die_errno("stdin");
	}
	if (graph_parse(g, text.data, text.len, "stdin", &e) < 0)
		die("%s", e.text);
	buf_release(&text);
}

static void print_rank(const struct graph *g, struct buf *out)
{
	uint32_t *order = mem_zero(g->paths.n, sizeof *order);
	struct err e;

	if (popularity_order(g, order, out, &e) < 0)
		die("stdin: %s", e.text);
	free(order);
}

static void make_plan(const struct graph *g, const struct options *o, struct plan *p)
{
	struct err e;

	if (o->pipeline == NULL) {
		if (o->strategy->plan(g, o->max_layers, p, &e) < 0)
			die("stdin: %s", e.text);
		return;
	}
	json_t *operations = json_read_file(o->pipeline, JSON_LIMIT, &e);
	if (operations == NULL)
		die("%s", e.text);
	if (pipeline_plan(operations, g, p, &e) < 0)
		die("%s: %s", o->pipeline, e.text);
	json_decref(operations);
}

int main(int argc, char **argv)
{
	struct options o;
	struct graph g = {0};
	struct plan p = {0};
	struct buf out = {0};

	err_init("dt-popularity");
	io_init();
	parse_args(argc, argv, &o);
	read_graph(&g);
	if (o.rank) {
		print_rank(&g, &out);
	} else {
		make_plan(&g, &o, &p);
		plan_write(&p, &g, &out);
	}
	io_finish_text(&out);
	buf_release(&out);
	plan_release(&p);
	graph_release(&g);
	return 0;
}
