/*
 * dt-popularity: decide which store paths share a layer.
 *
 * stdin: dt-graph(5). stdout: dt-plan(5).
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/opt.h"
#include "plan/autolayer.h"
#include "plan/pipeline.h"
#include "plan/plan.h"
#include "plan/popularity.h"
#include "plan/previous.h"
#include "plan/transfer.h"
#include "plan/weights.h"
#include "store/graph.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 100 };

struct options {
	const struct strategy *strategy;
	size_t max_layers;
	bool rank;
	const char *pipeline, *weights; /* NULL if not given */
	const char **previous;          /* n_previous files, the oldest first */
	size_t n_previous, cap_previous;
};

/*
 * A way to group the paths of a graph. `plan` returns 0, or -1 and an error in the graph.
 */
struct strategy {
	const char *name;
	int (*plan)(const struct graph *g, const struct options *o, struct plan *p,
		    struct err *e);
};

static int plan_transfer(const struct graph *g, const struct options *o, struct plan *p,
			 struct err *e)
{
	double *weight = NULL;
	struct previous old = {0};
	struct err why;

	if (o->weights != NULL && (weight = weights_read(g, o->weights, &why)) == NULL)
		die("%s", why.text);
	if (previous_read(&old, g, o->previous, o->n_previous, &why) < 0)
		die("%s", why.text);
	bool several = o->n_previous > 1;
	if (several && weight == NULL) {
		weight = mem_zero(g->paths.n, sizeof *weight);
		for (size_t i = 0; i < g->paths.n; i++)
			weight[i] = 1;
	}
	if (several)
		previous_weigh(&old, weight);
	int result = transfer_plan(g, o->max_layers, weight, old.layer,
				   several ? old.stays : NULL, p, e);
	free(weight);
	previous_release(&old);
	return result;
}

static int plan_auto(const struct graph *g, const struct options *o, struct plan *p,
		     struct err *e)
{
	return autolayer_plan(g, o->max_layers, p, e);
}

static int plan_popularity(const struct graph *g, const struct options *o, struct plan *p,
			   struct err *e)
{
	return popularity_plan(g, o->max_layers, p, e);
}

/* The first strategy is the default. */
static const struct strategy strategies[] = {
    {"transfer", plan_transfer},
    {"auto", plan_auto},
    {"popularity", plan_popularity},
};

enum { N_STRATEGIES = sizeof strategies / sizeof *strategies };

static const struct strategy *find_strategy(const char *name)
{
	for (size_t i = 0; i < N_STRATEGIES; i++)
		if (strcmp(strategies[i].name, name) == 0)
			return &strategies[i];
	die_usage("--strategy takes transfer, auto or popularity, not '%s'", name);
}

static void parse_args(int argc, char **argv, struct options *o)
{
	enum { MAX_LAYERS = 1, PIPELINE, PREVIOUS, RANK, STRATEGY, WEIGHTS };
	static const struct opt options[] = {
	    {MAX_LAYERS, "max-layers", "N", "plan at most N layers (100)"},
	    {STRATEGY, "strategy", "NAME", "transfer, auto or popularity (transfer)"},
	    {WEIGHTS, "weights", "FILE", "how likely an update of each path is"},
	    {PREVIOUS, "previous", "FILE",
	     "keep the layers of the plan in FILE; repeatable"},
	    {PIPELINE, "pipeline", "FILE", "group paths by the operations in FILE"},
	    {RANK, "rank", NULL,
	     "print scores and paths instead, the most popular first"},
	    {0},
	};
	static const struct opt_moved moved[] = {
	    {"cost", "dt-cost"},
	    {"fleet", "dt-fleet"},
	    {"json", "dt-cost --format json"},
	    {"plan", "an operand of dt-cost"},
	    {"second", "an operand of dt-cost"},
	    {"svg", "dt-cost --format svg"},
	    {0},
	};
	static const struct opt_tool tool = {
	    .synopsis = "[OPTION]... <GRAPH >PLAN",
	    .purpose = "Reads a graph and writes a plan: the store paths of each layer, "
		       "a layer a line.",
	    .options = options,
	    .moved = moved,
	};
	bool is_planned = false; /* --strategy or --max-layers was given */

	*o = (struct options){.max_layers = LAYERS, .strategy = &strategies[0]};
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;) {
		switch (key) {
		case MAX_LAYERS:
			o->max_layers = num_option("max-layers", optarg, 1, UINT32_MAX);
			is_planned = true;
			break;
		case PIPELINE:
			o->pipeline = optarg;
			break;
		case PREVIOUS:
			o->previous = mem_grow(o->previous, &o->cap_previous,
					       o->n_previous + 1, sizeof *o->previous);
			o->previous[o->n_previous++] = optarg;
			break;
		case RANK:
			o->rank = true;
			break;
		case STRATEGY:
			o->strategy = find_strategy(optarg);
			is_planned = true;
			break;
		case WEIGHTS:
			o->weights = optarg;
			break;
		}
	}
	if (optind < argc)
		die_usage("unexpected operand '%s'", argv[optind]);
	if (o->pipeline != NULL && is_planned)
		die_usage("--pipeline decides on the layers, without --strategy and "
			  "--max-layers");
	if ((o->n_previous > 0 || o->weights != NULL) &&
	    (o->pipeline != NULL || o->strategy->plan != plan_transfer))
		die_usage("--%s goes with --strategy transfer",
			  o->n_previous > 0 ? "previous" : "weights");
	if (o->rank && o->pipeline != NULL)
		die_usage("--rank makes no plan");
}

static void run_pipeline(const char *file, const struct graph *g, struct plan *p)
{
	struct err e;
	json_t *operations = json_read_file(file, JSON_LIMIT, &e);

	if (operations == NULL)
		die("%s", e.text);
	if (pipeline_plan(operations, g, p, &e) < 0)
		die("%s: %s", file, e.text);
	json_decref(operations);
}

static void print_plan(const struct graph *g, const struct options *o, struct buf *out)
{
	struct plan p = {0};
	struct err e;

	if (o->pipeline != NULL)
		run_pipeline(o->pipeline, g, &p);
	else if (o->strategy->plan(g, o, &p, &e) < 0)
		die("stdin: %s", e.text);
	plan_write(&p, g, out);
	plan_release(&p);
}

static void print_rank(const struct graph *g, struct buf *out)
{
	uint32_t *order = mem_zero(g->paths.n, sizeof *order);
	struct err e;

	if (popularity_order(g, order, out, &e) < 0)
		die("stdin: %s", e.text);
	free(order);
}

int main(int argc, char **argv)
{
	struct options o;
	struct graph g = {0};
	struct buf out = {0};
	struct err e;

	err_init("dt-popularity");
	io_init();
	parse_args(argc, argv, &o);
	io_begin(opt_output(), IO_TEXT);
	if (graph_read(&g, "-", &e) < 0)
		die("%s", e.text);
	if (o.rank)
		print_rank(&g, &out);
	else
		print_plan(&g, &o, &out);
	io_finish_text(&out);
	free(o.previous);
	buf_release(&out);
	graph_release(&g);
	return 0;
}
