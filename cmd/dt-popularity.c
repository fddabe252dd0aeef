/*
 * dt-popularity: a graph on stdin, a plan on stdout.
 *
 * Decides which store paths share a layer. The plan has a line per layer, the bottom
 * layer first. Also tells what a plan costs when paths are updated, and plans several
 * images together.
 */
#include "autolayer.h"
#include "buf.h"
#include "cost.h"
#include "draft.h"
#include "draw.h"
#include "err.h"
#include "fleet.h"
#include "graph.h"
#include "io.h"
#include "json.h"
#include "mem.h"
#include "num.h"
#include "opt.h"
#include "pipeline.h"
#include "plan.h"
#include "popularity.h"
#include "previous.h"
#include "transfer.h"
#include "weights.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GRAPH_LIMIT = 1 << 28, WEIGHTS_LIMIT = 1 << 24, LAYERS = 100 };

struct options {
	const struct strategy *strategy; /* NULL: none was named */
	size_t max_layers;
	bool rank, cost, json, svg, fleet;
	const char *pipeline, *plan, *previous, *second, *weights,
	    *output;    /* the directory of the plans; NULL for none */
	char **operand; /* with --fleet, images of them */
	size_t images;
};

/*
 * A way to group the paths of a graph; 0, or -1 and what is wrong with the graph. That of
 * transfer, which takes more, is NULL.
 */
struct strategy {
	const char *name;
	int (*plan)(const struct graph *g, size_t max_layers, struct plan *p,
		    struct err *e);
};

static const struct strategy strategies[] = {
    {"popularity", popularity_plan},
    {"auto", autolayer_plan},
    {"transfer", NULL},
};

enum { N_STRATEGIES = sizeof strategies / sizeof *strategies };

static const struct strategy *find_strategy(const char *name)
{
	for (size_t i = 0; i < N_STRATEGIES; i++)
		if (strcmp(strategies[i].name, name) == 0)
			return &strategies[i];
	die_usage("--strategy takes 'popularity', 'auto' or 'transfer', not '%s'", name);
}

enum {
	OPT_COST = 1,
	OPT_FLEET,
	OPT_JSON,
	OPT_MAX_LAYERS,
	OPT_PIPELINE,
	OPT_PLAN,
	OPT_PREVIOUS,
	OPT_RANK,
	OPT_SECOND,
	OPT_STRATEGY,
	OPT_SVG,
	OPT_WEIGHTS
};

static const struct opt option_table[] = {
    {OPT_MAX_LAYERS, "max-layers", "N", "plan at most N layers (100)"},
    {OPT_STRATEGY, "strategy", "NAME", "popularity, auto or transfer (popularity)"},
    {OPT_WEIGHTS, "weights", "FILE", "how likely an update of each path is"},
    {OPT_PREVIOUS, "previous", "FILE", "keep together what is in the plan in FILE"},
    {OPT_PIPELINE, "pipeline", "FILE", "group paths by the operations in FILE"},
    {OPT_RANK, "rank", NULL, "no plan: scores and paths, the most popular first"},
    {OPT_COST, "cost", NULL, "no plan: what it costs when paths are updated"},
    {OPT_JSON, "json", NULL, "the cost as JSON"},
    {OPT_SVG, "svg", NULL, "the cost as a picture"},
    {OPT_PLAN, "plan", "FILE", "the cost of the plan in FILE"},
    {OPT_SECOND, "second", "FILE", "and what the image of the graph in FILE shares"},
    {OPT_FLEET, "fleet", NULL, "plan the graphs in the operands; -o is a directory"},
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... <GRAPH >PLAN\n"
		"       dt-popularity --fleet --output DIR [OPTION]... GRAPH...",
    .purpose = "Reads a graph and writes a plan, a line of store paths a layer.",
    .options = option_table,
};

static void check_options(const struct options *o, bool limited)
{
	bool cost = o->cost || o->json || o->svg;

	if (o->pipeline != NULL && (o->strategy != NULL || limited))
		die_usage("--pipeline decides on the layers, without --%s",
			  limited ? "max-layers" : "strategy");
	if (o->previous != NULL && (o->strategy == NULL || o->strategy->plan != NULL))
		die_usage("--previous goes with --strategy transfer");
	if ((o->plan != NULL || o->second != NULL) && !cost)
		die_usage("--%s goes with --cost", o->plan != NULL ? "plan" : "second");
	if (o->plan != NULL && o->second == NULL &&
	    (o->strategy != NULL || limited || o->pipeline != NULL))
		die_usage("--plan FILE is a plan, none is made");
	if (o->json && o->svg)
		die_usage("--json or --svg, not both");
	if (o->rank && (cost || o->fleet || o->pipeline != NULL))
		die_usage("--rank makes no plan");
	if (!o->fleet && o->images > 0)
		die_usage("unexpected operand '%s'", o->operand[0]);
	if (!o->fleet)
		return;
	if (o->plan || o->previous || o->second || o->pipeline || o->svg)
		die_usage(
		    "--fleet goes with no --plan, --previous, --second, --pipeline, "
		    "--svg");
	if (o->images == 0 || (o->output == NULL && !cost))
		die_usage("--fleet needs graphs, and --output DIR or --cost");
}

static void parse_args(int argc, char **argv, struct options *o)
{
	bool limited = false;
	int key;

	*o = (struct options){.max_layers = LAYERS};
	while ((key = opt_next(argc, argv, &tool)) != -1) {
		switch (key) {
		case OPT_COST:
			o->cost = true;
			break;
		case OPT_FLEET:
			o->fleet = true;
			break;
		case OPT_JSON:
			o->json = true;
			break;
		case OPT_MAX_LAYERS:
			o->max_layers = num_option("max-layers", optarg, 1, UINT32_MAX);
			limited = true;
			break;
		case OPT_PIPELINE:
			o->pipeline = optarg;
			break;
		case OPT_PLAN:
			o->plan = optarg;
			break;
		case OPT_PREVIOUS:
			o->previous = optarg;
			break;
		case OPT_RANK:
			o->rank = true;
			break;
		case OPT_SECOND:
			o->second = optarg;
			break;
		case OPT_STRATEGY:
			o->strategy = find_strategy(optarg);
			break;
		case OPT_SVG:
			o->svg = true;
			break;
		case OPT_WEIGHTS:
			o->weights = optarg;
			break;
		}
	}
	o->operand = argv + optind;
	o->images = (size_t)(argc - optind);
	if (o->fleet && !o->cost && !o->json)
		o->output = opt_output();
	check_options(o, limited);
}

static void slurp(const char *file, size_t limit, struct buf *text)
{
	const char *what = strcmp(file, "-") == 0 ? "stdin" : file;

	if (io_slurp_file(file, text, limit) == 0)
		return;
	if (errno == EFBIG)
		die("%s: more than %zu bytes", what, limit);
	die_errno("%s", what);
}

/* Reads a graph without cycles whose sizes can be added up. */
static void read_graph(const char *file, struct graph *g)
{
	const char *what = strcmp(file, "-") == 0 ? "stdin" : file;
	struct buf text = {0};
	uint64_t sum = 0;
	struct err e;

	slurp(file, GRAPH_LIMIT, &text);
	if (graph_parse(g, text.data, text.len, what, &e) < 0)
		die("%s", e.text);
	buf_release(&text);
	uint32_t *order = mem_zero(g->paths.n, sizeof *order);
	if (graph_sort(g, order, &e) < 0)
		die("%s: %s", what, e.text);
	free(order);
	for (size_t i = 0; i < g->paths.n; i++) {
		if (g->node[i].size > INT64_MAX - sum)
			die("%s: the sizes add up to more than %lld bytes", what,
			    (long long)INT64_MAX);
		sum += g->node[i].size;
	}
}

/* The weights of the graph's nodes, NULL if none are given. */
static double *read_weights(const struct options *o, const struct graph *g)
{
	struct buf text = {0};
	struct err e;

	if (o->weights == NULL)
		return NULL;
	double *weight = mem_zero(g->paths.n, sizeof *weight);
	slurp(o->weights, WEIGHTS_LIMIT, &text);
	if (weights_parse(weight, g, text.data, text.len, o->weights, &e) < 0)
		die("%s", e.text);
	buf_release(&text);
	return weight;
}

/* The layers that the graph's nodes had before, NULL if no plan is given. */
static uint32_t *read_previous(const struct options *o, const struct graph *g)
{
	struct buf text = {0};
	struct err e;

	if (o->previous == NULL)
		return NULL;
	uint32_t *layer = mem_zero(g->paths.n, sizeof *layer);
	slurp(o->previous, GRAPH_LIMIT, &text);
	if (previous_parse(layer, g, text.data, text.len, o->previous, &e) < 0)
		die("%s", e.text);
	buf_release(&text);
	return layer;
}

static void make_plan(const struct graph *g, const struct options *o, const char *what,
		      const double *weight, struct plan *p)
{
	const struct strategy *s = o->strategy != NULL ? o->strategy : &strategies[0];
	struct err e;

	if (o->pipeline == NULL) {
		uint32_t *previous = read_previous(o, g);
		int result = s->plan != NULL ? s->plan(g, o->max_layers, p, &e)
					     : transfer_plan(g, o->max_layers, weight,
							     previous, p, &e);
		if (result < 0)
			die("%s: %s", what, e.text);
		free(previous);
		return;
	}
	json_t *operations = json_read_file(o->pipeline, JSON_LIMIT, &e);
	if (operations == NULL)
		die("%s", e.text);
	if (pipeline_plan(operations, g, p, &e) < 0)
		die("%s: %s", o->pipeline, e.text);
	json_decref(operations);
}

static void read_plan(const char *file, const struct graph *g, struct plan *p)
{
	struct buf text = {0};
	struct err e;

	slurp(file, GRAPH_LIMIT, &text);
	if (plan_parse(p, g, text.data, text.len, file, &e) < 0)
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

static void print_cost(const struct graph *g, const struct options *o,
		       const struct plan *p, const double *weight, struct buf *out)
{
	struct graph other = {0};
	struct plan other_plan = {0};
	struct cost c;
	struct err e;
	int result = 0;

	if (cost_init(&c, g, p, weight, &e) < 0)
		die("stdin: %s", e.text);
	if (o->second != NULL) {
		read_graph(o->second, &other);
		double *other_weight = read_weights(o, &other);
		make_plan(&other, o, o->second, other_weight, &other_plan);
		cost_second(&c, g, p, &other, &other_plan);
		free(other_weight);
	}
	if (o->json)
		result = cost_json(&c, g, p, out, &e);
	else if (o->svg)
		result = draw_cost(&c, g, out, &e);
	else
		cost_text(&c, g, out);
	if (result < 0)
		die("stdin: %s", e.text);
	cost_release(&c);
	plan_release(&other_plan);
	graph_release(&other);
}

static void run_single(const struct options *o, struct buf *out)
{
	struct graph g = {0};
	struct plan p = {0};

	read_graph("-", &g);
	double *weight = read_weights(o, &g);
	if (o->rank) {
		print_rank(&g, out);
	} else {
		if (o->plan != NULL)
			read_plan(o->plan, &g, &p);
		else
			make_plan(&g, o, "stdin", weight, &p);
		if (o->cost || o->json || o->svg)
			print_cost(&g, o, &p, weight, out);
		else
			plan_write(&p, &g, out);
	}
	free(weight);
	plan_release(&p);
	graph_release(&g);
}

/* The name of an image's plan: that of its graph without folder and ".graph". */
static char *plan_name(const char *graph)
{
	const char *slash = strrchr(graph, '/'),
		   *base = slash != NULL ? slash + 1 : graph;
	size_t len = strlen(base);
	struct buf name = {0};

	if (len > 6 && strcmp(base + len - 6, ".graph") == 0)
		len -= 6;
	if (len == 0 || strcmp(base, "-") == 0)
		die_usage("--output needs named graphs, not '%s'", graph);
	buf_addf(&name, "%.*s.plan", (int)len, base);
	return name.data;
}

/* Plans the images of a fleet, together or, with a strategy, each on its own. */
static void plan_fleet(const struct options *o, struct graph *all, struct plan *plans)
{
	struct graph *image = mem_zero(o->images, sizeof *image);
	bool **in = mem_zero(o->images, sizeof *in);
	struct err e;

	for (size_t i = 0; i < o->images; i++) {
		read_graph(o->operand[i], &image[i]);
		if (fleet_join(all, &image[i], &e) < 0)
			die("%s: %s", o->operand[i], e.text);
	}
	double *weight = read_weights(o, all);
	for (size_t i = 0; i < o->images; i++) {
		in[i] = mem_zero(all->paths.n, sizeof *in[i]);
		for (size_t k = 0; k < image[i].paths.n; k++) {
			const char *path = image[i].paths.name[k];
			in[i][names_find(&all->paths, path, strlen(path))] = true;
		}
	}
	if (o->strategy == NULL && fleet_plan(all, (const bool *const *)in, o->images,
					      o->max_layers, weight, plans, &e) < 0)
		die("%s", e.text);
	for (size_t i = 0; i < o->images; i++) {
		if (o->strategy != NULL) {
			struct plan p = {0};
			double *own = read_weights(o, &image[i]);
			make_plan(&image[i], o, o->operand[i], own, &p);
			plan_translate(&plans[i], all, &p, &image[i]);
			plan_release(&p);
			free(own);
		}
		graph_release(&image[i]);
		free(in[i]);
	}
	free(in);
	free(image);
	free(weight);
}

static void write_file(const char *dir, const char *name, const struct buf *text)
{
	struct buf file = {0};
	struct draft d;

	buf_addf(&file, "%s/%s", dir, name);
	if (draft_open(&d, file.data, 0666, NULL) < 0 ||
	    draft_close(&d, io_write(d.fd, text->data, text->len) == 0) < 0)
		die_errno("%s", file.data);
	buf_release(&file);
}

/* Finds names for the plans, all different. */
static void name_plans(const struct options *o, struct names *files)
{
	for (size_t i = 0; i < o->images; i++) {
		char *name = plan_name(o->operand[i]);
		if (names_add(files, name, strlen(name)) != i)
			die_usage("two graphs would have the plan '%s'", name);
		free(name);
	}
}

static void run_fleet(const struct options *o, struct buf *out)
{
	struct graph all = {0};
	struct names files = {0};
	struct plan *plans = mem_zero(o->images, sizeof *plans);

	if (o->output != NULL) {
		name_plans(o, &files);
		draft_sweep(o->output);
	}
	plan_fleet(o, &all, plans);
	for (size_t i = 0; i < files.n; i++) {
		struct buf text = {0};
		plan_write(&plans[i], &all, &text);
		write_file(o->output, files.name[i], &text);
		buf_release(&text);
	}
	if (o->output == NULL) {
		struct fleet_cost c = fleet_cost(&all, plans, o->images);
		fleet_cost_write(&c, o->json, out);
	}
	for (size_t i = 0; i < o->images; i++)
		plan_release(&plans[i]);
	free(plans);
	names_release(&files);
	graph_release(&all);
}

int main(int argc, char **argv)
{
	struct options o;
	struct buf out = {0};

	err_init("dt-popularity");
	io_init();
	parse_args(argc, argv, &o);
	io_begin(o.output == NULL ? opt_output() : NULL, IO_TEXT);
	if (o.fleet)
		run_fleet(&o, &out);
	else
		run_single(&o, &out);
	io_finish_text(&out);
	buf_release(&out);
	return 0;
}
