/*
 * dt-nixdb: write a Nix database in which store paths are registered.
 *
 * Without it, Nix in an image does not know the store paths of the image.
 *
 * stdin: dt-graph(5). stdout: an SQLite database, db.sqlite of Nix. With --tree, the
 * output is a directory with the database and the other files that Nix needs in an image.
 */
#include "base/buf.h"
#include "base/cache.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/timestamp.h"
#include "store/derivations.h"
#include "store/graph.h"
#include "store/nixdb.h"
#include "store/operand.h"
#include "store/pathinfo.h"
#include "store/store.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct options {
	const char *store, *derivers, *tree, *roots;
	bool no_cache;
	int64_t time; /* the registration time */
};

static void parse_args(struct options *o, int argc, char **argv)
{
	enum { DERIVERS = 1, NO_CACHE, ROOTS, STORE, TREE };
	static const struct opt options[] = {
	    {TREE, "tree", "DIR",
	     "make DIR with the database and the other files of Nix or Guix"},
	    {ROOTS, "roots", "FILE", "in DIR, keep the store paths that FILE mentions"},
	    {DERIVERS, "derivers", "FILE",
	     "a database or an exported graph that knows derivers"},
	    {STORE, "store", "DIR", "the store, or the root of a system that has one"},
	    {NO_CACHE, "no-cache", NULL, "do not use the cache of NAR hashes"},
	    OPT_VERBOSE,
	    {0},
	};
	static const struct opt_tool tool = {
	    .synopsis = "[OPTION]... <GRAPH >DATABASE",
	    .purpose = "Reads a graph and writes the database of Nix in which its store "
		       "paths are valid.",
	    .options = options,
	};

	*o = (struct options){.time = timestamp_default()};
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;) {
		switch (key) {
		case DERIVERS:
			o->derivers = optarg;
			break;
		case NO_CACHE:
			o->no_cache = true;
			break;
		case ROOTS:
			o->roots = optarg;
			break;
		case STORE:
			o->store = optarg;
			break;
		case TREE:
			o->tree = optarg;
			break;
		}
	}
	if (o->roots != NULL && o->tree == NULL)
		die_usage("--roots goes with --tree");
	if (o->tree != NULL && opt_output() != NULL)
		die_usage("--tree makes a directory, and --output is for a database");
	if (optind < argc)
		die_usage("unexpected operand '%s'", argv[optind]);
}

struct work {
	const struct options *options;
	struct store store;
	struct cache cache;
	struct graph g;
	uint32_t *order;           /* the nodes; a path comes after its references */
	uint32_t *turn;            /* the nodes, largest first */
	struct pathinfo *pathinfo; /* by node */
	struct derivations derivations;
};

static void read_graph(struct work *w)
{
	struct err e;

	if (graph_read(&w->g, "-", &e) < 0)
		die("%s", e.text);
	for (size_t i = 0; i < w->g.paths.n; i++)
		if (store_check(&w->store, w->g.paths.name[i], &e) < 0)
			die("stdin: %s", e.text);
	w->order = mem_zero(w->g.paths.n, sizeof *w->order);
	if (graph_sort(&w->g, w->order, &e) < 0)
		die("stdin: %s", e.text);
}

static int compare_sizes(const void *a, const void *b, void *graph)
{
	const struct graph_node *node = ((const struct graph *)graph)->node;
	const uint32_t *x = a, *y = b;

	if (node[*x].size != node[*y].size)
		return node[*x].size > node[*y].size ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

static void find_registration(void *arg, size_t turn)
{
	struct work *w = arg;
	uint32_t node = w->turn[turn];
	const char *path = w->g.paths.name[node];
	struct pathinfo *r = &w->pathinfo[node];

	pathinfo_find(r, &w->store, path, &w->cache);
	if (r->size != w->g.node[node].size)
		die("%s: its NAR has %" PRIu64 " bytes, but %" PRIu64 " in the graph",
		    path, r->size, w->g.node[node].size);
}

/*
 * Hashes all store paths on all cores. The largest come first, because hashing a single
 * large path at the end would leave the other cores idle.
 */
static void find_registrations(struct work *w)
{
	size_t n = w->g.paths.n;
	uint64_t bytes = 0, all = 0;

	w->pathinfo = mem_zero(n, sizeof *w->pathinfo);
	w->turn = mem_zero(n, sizeof *w->turn);
	for (size_t i = 0; i < n; i++)
		w->turn[i] = (uint32_t)i;
	qsort_r(w->turn, n, sizeof *w->turn, compare_sizes, &w->g);
	for (size_t i = 0; i < n; i++)
		all += w->g.node[i].size;
	struct pool *pool = pool_start(n, find_registration, w);
	for (size_t i = 0; i < n; i++) {
		pool_wait(pool, i);
		bytes += w->pathinfo[w->turn[i]].size;
		progress("paths hashed", i + 1, n, bytes, all);
	}
	progress_end();
	pool_release(pool);
}

static void find_derivations(struct work *w, const char *file)
{
	struct err e;

	if (derivations_find(&w->g, &w->store, file, &e) < 0 ||
	    derivations_read(&w->derivations, &w->g, w->order, &w->store, &e) < 0)
		die("%s", e.text);
}

/* The paths to which no other path refers. */
static bool *find_tops(const struct graph *g)
{
	bool *is = mem_zero(g->paths.n, sizeof *is);

	for (size_t i = 0; i < g->paths.n; i++)
		is[i] = true;
	for (size_t i = 0; i < g->paths.n; i++)
		for (size_t k = 0; k < g->node[i].n_refs; k++)
			is[g->node[i].refs[k]] = false;
	return is;
}

/* The contents of the new database. */
static struct nixdb_contents contents_of(const struct work *w)
{
	return (struct nixdb_contents){
	    .dir = w->store.dir,
	    .g = &w->g,
	    .order = w->order,
	    .pathinfo = w->pathinfo,
	    .output = w->derivations.output,
	    .n_outputs = w->derivations.n,
	    .time = w->options->time,
	};
}

static int write_tree(struct work *w, const struct buf *database, struct err *e)
{
	const struct nixdb_contents contents = contents_of(w);
	const char *roots = w->options->roots;
	bool *is_root = roots != NULL ? operand_mentioned(&w->g, &w->store, roots, e)
				      : find_tops(&w->g);
	int result = -1;

	if (is_root != NULL)
		result =
		    nixdb_write_tree(w->options->tree, &contents, database, is_root, e);
	free(is_root);
	return result;
}

static int take_database(void *arg, const struct buf *database, struct err *e)
{
	struct work *w = arg;

	if (w->options->tree != NULL)
		return write_tree(w, database, e);
	io_finish_text(database);
	return 0;
}

static void write_database(struct work *w)
{
	const struct nixdb_contents contents = contents_of(w);
	struct err e;

	if (nixdb_write(&contents, take_database, w, &e) < 0)
		die("%s", e.text);
}

static void release_work(struct work *w)
{
	free(w->order);
	free(w->turn);
	free(w->pathinfo);
	derivations_release(&w->derivations);
	graph_release(&w->g);
	cache_release(&w->cache);
	store_release(&w->store);
}

int main(int argc, char **argv)
{
	struct options o;
	struct work w = {.options = &o};

	err_init("dt-nixdb");
	io_init();
	parse_args(&o, argc, argv);
	io_begin(opt_output(), o.tree == NULL ? IO_BINARY : IO_TEXT);
	store_init(&w.store, o.store);
	cache_init(&w.cache, !o.no_cache);
	read_graph(&w);
	find_derivations(&w, o.derivers);
	find_registrations(&w);
	write_database(&w);
	release_work(&w);
	return 0;
}
