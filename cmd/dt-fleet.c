/*
 * dt-fleet: plan the layers of several images together, so that they share layers.
 *
 * Operands: a dt-graph(5) for each image, and a directory for a dt-plan(5) of each.
 * stdout: the names of the plans.
 */
#include "base/buf.h"
#include "base/draft.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/opt.h"
#include "plan/fleet.h"
#include "plan/plan.h"
#include "plan/weights.h"
#include "store/graph.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 100 };

struct options {
	size_t max_layers;
	const char *weights;
	char **graph; /* one for each image */
	size_t n;
	const char *dir;
};

static void parse_args(int argc, char **argv, struct options *o)
{
	enum { MAX_LAYERS = 1, WEIGHTS };
	static const struct opt options[] = {
	    {MAX_LAYERS, "max-layers", "N", "plan at most N layers for each image (100)"},
	    {WEIGHTS, "weights", "FILE", "how likely an update of each path is"},
	    {0},
	};
	static const struct opt_tool tool = {
	    .synopsis = "[OPTION]... GRAPH... DIR",
	    .purpose =
		"Plans the layers of several images together, and writes a plan of "
		"each to DIR.",
	    .options = options,
	};

	*o = (struct options){.max_layers = LAYERS};
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;) {
		switch (key) {
		case MAX_LAYERS:
			o->max_layers = num_option("max-layers", optarg, 1, UINT32_MAX);
			break;
		case WEIGHTS:
			o->weights = optarg;
			break;
		}
	}
	if (argc - optind < 2)
		die_usage("graphs and a directory are expected");
	o->graph = argv + optind;
	o->n = (size_t)(argc - optind) - 1;
	o->dir = argv[argc - 1];
}

/*
 * Appends the file name of an image's plan: the name of its graph with the suffix ".plan"
 * instead of ".graph".
 */
static void add_plan_name(struct buf *name, const char *graph)
{
	static const char ending[] = ".graph";
	const char *slash = strrchr(graph, '/'),
		   *base = slash != NULL ? slash + 1 : graph;
	size_t len = strlen(base), end = strlen(ending);

	if (len > end && strcmp(base + len - end, ending) == 0)
		len -= end;
	if (len == 0 || strcmp(graph, "-") == 0)
		die_usage("'%s': a graph without a name for its plan", graph);
	buf_addf(name, "%.*s.plan", (int)len, base);
}

/* Sets `files` to the file names of the plans, which must differ. */
static void name_plans(const struct options *o, struct strset *files)
{
	struct buf file = {0};

	for (size_t i = 0; i < o->n; i++) {
		buf_clear(&file);
		buf_addf(&file, "%s/", o->dir);
		add_plan_name(&file, o->graph[i]);
		if (strset_add(files, file.data, file.len) != i)
			die_usage("two graphs would have the plan '%s'", file.data);
	}
	buf_release(&file);
}

static void make_plans(const struct options *o, struct graph *all, struct plan *plans)
{
	bool **in = mem_zero(o->n, sizeof *in);
	struct graph *image = mem_zero(o->n, sizeof *image);
	double *weight = NULL;
	struct err e;

	for (size_t i = 0; i < o->n; i++) {
		if (graph_read(&image[i], o->graph[i], &e) < 0)
			die("%s", e.text);
		if (graph_join(all, &image[i], &e) < 0)
			die("%s: %s", o->graph[i], e.text);
	}
	for (size_t i = 0; i < o->n; i++) {
		in[i] = mem_zero(all->paths.n, sizeof *in[i]);
		for (size_t k = 0; k < image[i].paths.n; k++) {
			const char *path = image[i].paths.name[k];
			in[i][strset_find(&all->paths, path, strlen(path))] = true;
		}
		graph_release(&image[i]);
	}
	if (o->weights != NULL && (weight = weights_read(all, o->weights, &e)) == NULL)
		die("%s", e.text);
	if (fleet_plan(all, (const bool *const *)in, o->n, o->max_layers, weight, plans,
		       &e) < 0)
		die("%s", e.text);
	for (size_t i = 0; i < o->n; i++)
		free(in[i]);
	free(in);
	free(image);
	free(weight);
}

static void write_plan(const struct plan *p, const struct graph *all, const char *file)
{
	struct buf text = {0};
	struct draft d;

	plan_write(p, all, &text);
	if (draft_open(&d, file, 0666, NULL) < 0 ||
	    draft_close(&d, io_write(d.fd, text.data, text.len) == 0) < 0)
		die_errno("%s", file);
	buf_release(&text);
}

int main(int argc, char **argv)
{
	struct options o;
	struct graph all = {0};
	struct strset files = {0};
	struct buf out = {0};

	err_init("dt-fleet");
	io_init();
	parse_args(argc, argv, &o);
	io_begin(opt_output(), IO_TEXT);
	name_plans(&o, &files);
	struct plan *plans = mem_zero(o.n, sizeof *plans);
	make_plans(&o, &all, plans);
	draft_sweep(o.dir);
	for (size_t i = 0; i < o.n; i++) {
		write_plan(&plans[i], &all, files.name[i]);
		buf_addf(&out, "%s\n", files.name[i]);
		plan_release(&plans[i]);
	}
	io_finish_text(&out);
	free(plans);
	buf_release(&out);
	strset_release(&files);
	graph_release(&all);
	return 0;
}
