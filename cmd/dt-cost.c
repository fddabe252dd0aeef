/*
 * dt-cost: print how much an update transfers, or how much several images take.
 *
 * Operands: a dt-graph(5) and a dt-plan(5) for each image. stdin: the plan, if there is a
 * single operand. stdout, for one image: what an update transfers, as a table, JSON or
 * SVG. stdout, for several images: what they take in a registry, as a table or JSON.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/opt.h"
#include "plan/cost.h"
#include "plan/draw.h"
#include "plan/plan.h"
#include "plan/weights.h"
#include "store/graph.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum format { TABLE, JSON, SVG };

struct options {
	enum format format;
	const char *weights;
	const char **operand; /* alternating graphs and plans */
	size_t images;
};

static enum format parse_format(const char *name)
{
	static const char *const names[] = {"table", "json", "svg"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			return (enum format)i;
	die_usage("--format takes table, json or svg, not '%s'", name);
}

static void read_operands(struct options *o, int argc, char **argv)
{
	size_t n = (size_t)argc, n_stdin = 0;

	if (n == 0 || (n > 1 && n % 2 != 0))
		die_usage("a graph, or graphs and plans by turns, are expected");
	o->images = (n + 1) / 2;
	o->operand = mem_zero(o->images * 2, sizeof *o->operand);
	for (size_t i = 0; i < o->images * 2; i++) {
		o->operand[i] = i < n ? argv[i] : "-";
		n_stdin += strcmp(o->operand[i], "-") == 0;
	}
	if (n_stdin > 1)
		die_usage("only one graph or plan can be standard input");
	if (o->images > 1 && (o->format == SVG || o->weights != NULL))
		die_usage("--%s is for one image",
			  o->weights != NULL ? "weights" : "format svg");
}

static void parse_args(int argc, char **argv, struct options *o)
{
	enum { FORMAT = 1, WEIGHTS };
	static const struct opt options[] = {
	    {FORMAT, "format", "FORMAT", "table, json or svg (table)"},
	    {WEIGHTS, "weights", "FILE", "how likely an update of each path is"},
	    {0},
	};
	static const struct opt_tool tool = {
	    .synopsis = "[OPTION]... GRAPH <PLAN\n"
			"       dt-cost [OPTION]... GRAPH PLAN...",
	    .purpose =
		"Prints how many bytes of an image an update of a path sends again, or "
		"how many bytes\nseveral images take in a registry.",
	    .options = options,
	};

	*o = (struct options){.format = TABLE};
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;) {
		switch (key) {
		case FORMAT:
			o->format = parse_format(optarg);
			break;
		case WEIGHTS:
			o->weights = optarg;
			break;
		}
	}
	read_operands(o, argc - optind, argv + optind);
}

static void read_image(const char *const *operand, struct graph *g, struct plan *p)
{
	struct err e;

	if (graph_read(g, operand[0], &e) < 0 || plan_read(p, g, operand[1], &e) < 0)
		die("%s", e.text);
}

static void run_single(const struct options *o, struct buf *out)
{
	struct graph g = {0};
	struct plan p = {0};
	struct cost c;
	struct err e;
	double *weight = NULL;
	int result = 0;

	read_image(o->operand, &g, &p);
	if (o->weights != NULL && (weight = weights_read(&g, o->weights, &e)) == NULL)
		die("%s", e.text);
	if (cost_init(&c, &g, &p, weight, &e) < 0)
		die("%s: %s", io_name(o->operand[0]), e.text);
	if (o->format == JSON)
		result = cost_json(&c, &g, &p, out, &e);
	else if (o->format == SVG)
		result = draw_cost(&c, &g, out, &e);
	else
		cost_text(&c, &g, out);
	if (result < 0)
		die("%s: %s", io_name(o->operand[0]), e.text);
	cost_release(&c);
	free(weight);
	plan_release(&p);
	graph_release(&g);
}

static void run_several(const struct options *o, struct buf *out)
{
	struct graph all = {0};
	struct plan *plans = mem_zero(o->images, sizeof *plans);
	struct err e;

	for (size_t i = 0; i < o->images; i++) {
		struct graph g = {0};
		struct plan p = {0};
		const char *const *operand = o->operand + i * 2;
		read_image(operand, &g, &p);
		if (graph_join(&all, &g, &e) < 0)
			die("%s: %s", io_name(operand[0]), e.text);
		plan_translate(&plans[i], &all, &p, &g);
		plan_release(&p);
		graph_release(&g);
	}
	struct cost_images c = cost_images(&all, plans, o->images);
	if (o->format == JSON)
		cost_images_json(&c, out);
	else
		cost_images_text(&c, out);
	for (size_t i = 0; i < o->images; i++)
		plan_release(&plans[i]);
	free(plans);
	graph_release(&all);
}

int main(int argc, char **argv)
{
	struct options o;
	struct buf out = {0};

	err_init("dt-cost");
	io_init();
	parse_args(argc, argv, &o);
	io_begin(opt_output(), IO_TEXT);
	if (o.images == 1)
		run_single(&o, &out);
	else
		run_several(&o, &out);
	io_finish_text(&out);
	free(o.operand);
	buf_release(&out);
	return 0;
}
