/*
 * dt-closure: list store paths and everything that they need at run time.
 *
 * stdin: store paths, one per line; with --text, any text that mentions store paths.
 * stdout: dt-graph(5); with --why, chains of references; with --hashes, hashes of NARs.
 */
#include "base/buf.h"
#include "base/cache.h"
#include "base/err.h"
#include "base/io.h"
#include "base/lines.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/opt.h"
#include "base/strset.h"
#include "store/graph.h"
#include "store/nixdb.h"
#include "store/operand.h"
#include "store/references.h"
#include "store/store.h"
#include "store/trust.h"
#include "store/verify.h"
#include "store/why.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOTS_LIMIT = 64 << 20, SIGS_MAX = 1000 };

/* The default of Nix. */
static const char default_keys[] =
    "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

struct options {
	const char *graph, *db, *store, *exclude, *why;
	const char *keys; /* of --trusted-public-keys */
	size_t sigs_needed;
	bool scan, text, ignore_missing, no_cache, verify, hashes;
	char **operands; /* NULL is the last element */
};

struct work {
	const struct options *o;
	struct store store;
	struct cache cache;
	struct references references;
	struct graph g; /* the closure; at first, the roots */
	size_t n_roots; /* the first nodes of the closure */
	bool is_whole;  /* the closure is the complete graph of --graph */
	struct strset mentions;
	struct trust trust;
};

static void check_options(const struct options *o)
{
	if (o->scan + (o->db != NULL) + (o->graph != NULL) > 1)
		die_usage("more than one of --db, --graph and --scan");
	if (o->ignore_missing && !o->text)
		die_usage("--ignore-missing goes with --text");
	if (o->text && o->graph != NULL && strcmp(o->graph, "-") == 0)
		die_usage("--graph - and --text both read standard input");
	if (o->verify && (o->scan || o->graph != NULL))
		die_usage("--verify needs the database; it excludes --scan and --graph");
	if (o->hashes && (o->scan || o->graph != NULL))
		die_usage("--hashes needs the database; it excludes --scan and --graph");
	if (o->hashes && o->why != NULL)
		die_usage("more than one of --hashes and --why");
	if (o->why != NULL && (o->exclude != NULL || o->verify))
		die_usage("--why prints no graph; it excludes --exclude and --verify");
	if (!o->verify && (o->keys != NULL || o->sigs_needed > 0))
		die_usage("--trusted-public-keys and --sigs-needed go with --verify");
}

static void parse_args(struct options *o, int argc, char **argv)
{
	enum {
		DB = 1,
		EXCLUDE,
		GRAPH,
		HASHES,
		IGNORE_MISSING,
		NO_CACHE,
		SCAN,
		SIGS_NEEDED,
		STORE,
		TEXT,
		TRUSTED_KEYS,
		VERIFY,
		WHY
	};
	static const struct opt options[] = {
	    {DB, "db", "FILE", "take references from this database of Nix or Guix"},
	    {GRAPH, "graph", "FILE", "take them from a graph that Nix or dt wrote"},
	    {SCAN, "scan", NULL, "take them from the files themselves"},
	    {STORE, "store", "DIR", "the store, or the root of a system that has one"},
	    {EXCLUDE, "exclude", "FILE", "leave out the store paths that FILE mentions"},
	    {TEXT, "text", NULL, "start from the store paths mentioned in any text"},
	    {IGNORE_MISSING, "ignore-missing", NULL,
	     "ignore mentioned store paths that do not exist"},
	    {WHY, "why", "PATH",
	     "print why PATH is in the closure, instead of the graph"},
	    {HASHES, "hashes", NULL,
	     "print the hash of each NAR in the database, instead of the graph"},
	    {NO_CACHE, "no-cache", NULL, "do not use the cache of scans"},
	    OPT_VERBOSE,
	    {VERIFY, "verify", NULL,
	     "compare all files with the database, and require signatures"},
	    {TRUSTED_KEYS, "trusted-public-keys", "KEYS",
	     "the keys of accepted signatures (cache.nixos.org's)"},
	    {SIGS_NEEDED, "sigs-needed", "N",
	     "signatures that each path needs, even if built here (0)"},
	    {0},
	};
	static const struct opt_moved moved[] = {
	    {"source", "--scan, --db FILE or --graph FILE"},
	    {0},
	};
	static const struct opt_tool tool = {
	    .synopsis = "[OPTION]... [PATH]... >GRAPH",
	    .purpose = "Prints the closure of store paths: all store paths that they "
		       "need, with sizes and\nreferences.",
	    .options = options,
	    .moved = moved,
	};

	*o = (struct options){0};
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;) {
		switch (key) {
		case DB:
			o->db = optarg;
			break;
		case EXCLUDE:
			o->exclude = optarg;
			break;
		case GRAPH:
			o->graph = optarg;
			break;
		case HASHES:
			o->hashes = true;
			break;
		case IGNORE_MISSING:
			o->ignore_missing = true;
			break;
		case NO_CACHE:
			o->no_cache = true;
			break;
		case SCAN:
			o->scan = true;
			break;
		case SIGS_NEEDED:
			o->sigs_needed = num_option("sigs-needed", optarg, 0, SIGS_MAX);
			break;
		case STORE:
			o->store = optarg;
			break;
		case TRUSTED_KEYS:
			o->keys = optarg;
			break;
		case VERIFY:
			o->verify = true;
			break;
		case TEXT:
			o->text = true;
			break;
		case WHY:
			o->why = optarg;
			break;
		}
	}
	o->operands = argv + optind;
	check_options(o);
}

static bool is_there(const char *file)
{
	struct stat st;
	int found = io_stat(file, &st);

	if (found < 0)
		die_errno("%s", file);
	return found > 0;
}

static int add_root(struct work *w, const char *name, struct err *e)
{
	struct buf path = {0};
	int result = operand_root(&w->store, name, &path, e);

	if (result == 0)
		graph_node(&w->g, path.data, path.len);
	buf_release(&path);
	return result;
}

static int add_root_line(void *arg, const char *line, size_t len, struct err *e)
{
	if (len == 0)
		return err_set(e, "an empty line");
	char *name = mem_strndup(line, len);
	int result = add_root(arg, name, e);
	free(name);
	return result;
}

static void read_root_lines(struct work *w)
{
	struct buf text = {0};
	struct err why;

	if (io_slurp(STDIN_FILENO, &text, ROOTS_LIMIT) < 0)
		die_errno("stdin");
	if (lines_scan(text.data, text.len, "stdin", add_root_line, w, &why) < 0)
		die("%s", why.text);
	buf_release(&text);
}

/*
 * Searches text for store paths. The search needs a store; the default is /nix/store, or
 * /gnu/store if only that exists.
 */
static void read_text(struct work *w)
{
	bool empty;

	if (w->store.dir == NULL)
		w->store.dir = mem_strdup(
		    !is_there("/nix/store") && is_there("/gnu/store") ? "/gnu/store"
								      : "/nix/store");
	if (operand_mentions(&w->store, STDIN_FILENO, &w->mentions, &empty) < 0)
		die_errno("stdin");
	if (empty)
		die("stdin: empty input");
}

/* Adds all paths of the graph. They are the closure if there are no roots. */
static void add_whole_graph(struct work *w)
{
	const struct graph *all = &w->references.exported;

	w->is_whole = true;
	for (size_t i = 0; i < all->paths.n; i++) {
		const char *path = all->paths.name[i];
		if (all->node[i].known)
			graph_node(&w->g, path, strlen(path));
	}
}

static void read_roots(struct work *w)
{
	const struct options *o = w->o;
	bool from_graph = o->graph != NULL;
	bool stdin_is_free =
	    !from_graph || (strcmp(o->graph, "-") != 0 && !isatty(STDIN_FILENO));
	struct err why;

	for (char **operand = o->operands; *operand != NULL; operand++)
		if (add_root(w, *operand, &why) < 0)
			die("%s", why.text);
	if (o->text) {
		read_text(w);
		return;
	}
	if (*o->operands != NULL)
		return;
	if (stdin_is_free)
		read_root_lines(w);
	if (w->g.paths.n == 0 && !from_graph)
		die("stdin: empty input, store paths are expected");
	if (w->g.paths.n == 0)
		add_whole_graph(w);
}

/* A graph separates paths by blanks, so the store's directory must not contain any. */
static void check_store(const struct store *s)
{
	for (const char *p = s->dir; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ')
			die("%s: a store whose directory has a blank in its name",
			    s->dir);
}

/*
 * Adds the mentioned store paths. Only the hash identifies a path, because the text after
 * a mention may look like a part of its name.
 */
static void add_mentioned(struct work *w)
{
	struct buf path = {0};
	struct err e;

	for (size_t i = 0; i < w->mentions.n; i++) {
		int found =
		    references_find(&w->references, w->mentions.name[i], &path, &e);
		if (found < 0)
			die("%s", e.text);
		if (found > 0)
			graph_node(&w->g, path.data, path.len);
		else if (!w->o->ignore_missing)
			die("stdin: %s/%s is mentioned but not there", w->store.dir,
			    w->mentions.name[i]);
	}
	buf_release(&path);
}

/* Opens what --graph or --db names. */
static void open_named(struct work *w)
{
	const struct options *o = w->o;
	struct err e;

	if ((o->graph != NULL &&
	     references_open_graph(&w->references, o->graph, &e) < 0) ||
	    (o->db != NULL && references_open_db(&w->references, o->db, &e) < 0))
		die("%s", e.text);
}

/* Adds everything that the roots need. */
static void complete(struct work *w)
{
	struct err e;

	check_store(&w->store);
	cache_init(&w->cache, !w->o->no_cache);
	if (references_open(&w->references, w->o->scan, &w->cache, &e) < 0)
		die("%s", e.text);
	add_mentioned(w);
	w->n_roots = w->g.paths.n;
	if (references_closure(&w->references, &w->g, &e) < 0)
		die("%s", e.text);
}

/* Ends the process if there is no database to read. */
static void need_database(const struct work *w)
{
	if (w->g.paths.n > 0 && w->references.db == NULL)
		die("%s: has no database", w->store.dir);
}

/* Verifies the paths that are printed. */
static void verify(struct work *w, const bool *skip)
{
	const struct verify v = {
	    .store = &w->store, .db = w->references.db, .trust = &w->trust};
	struct err e;

	need_database(w);
	if (w->g.paths.n > 0 && verify_graph(&v, &w->g, skip, &e) < 0)
		die("%s", e.text);
}

/* Appends the path and the hash of each NAR, in the order of the graph. */
static int add_hashes(struct work *w, const bool *skip, struct buf *out, struct err *e)
{
	size_t n = w->g.paths.n;
	struct nixdb_record *record = mem_zero(n, sizeof *record);
	uint32_t *order = mem_zero(n, sizeof *order);

	need_database(w);
	int result = graph_sort(&w->g, order, e);
	if (result == 0 && n > 0)
		result = nixdb_records(w->references.db, &w->g, record, e);
	for (size_t i = 0; i < n && result == 0; i++)
		if (skip == NULL || !skip[order[i]])
			buf_addf(out, "%s sha256:%s\n", w->g.paths.name[order[i]],
				 record[order[i]].sha256);
	for (size_t i = 0; i < n; i++)
		nixdb_record_release(&record[i]);
	free(record);
	free(order);
	return result;
}

static int add_graph(struct work *w, const bool *skip, struct buf *out, struct err *e)
{
	return operand_sizes(&w->g, skip, &w->store, e) < 0
		   ? -1
		   : graph_write(&w->g, skip, out, e);
}

static void write_paths(struct work *w)
{
	bool *skip = NULL;
	struct buf out = {0};
	struct err e;

	if (w->o->exclude != NULL) {
		skip = operand_mentioned(&w->g, &w->store, w->o->exclude, &e);
		if (skip == NULL)
			die("%s", e.text);
	}
	if (w->o->verify)
		verify(w, skip);
	if ((w->o->hashes ? add_hashes(w, skip, &out, &e)
			  : add_graph(w, skip, &out, &e)) < 0)
		die("%s", e.text);
	io_finish_text(&out);
	buf_release(&out);
	free(skip);
}

/* Marks the roots. Those of a complete graph are the paths that nothing refers to. */
static bool *mark_roots(const struct work *w)
{
	bool *is_root = mem_zero(w->g.paths.n, sizeof *is_root);

	for (size_t i = 0; i < w->n_roots; i++)
		is_root[i] = true;
	for (size_t i = 0; w->is_whole && i < w->g.paths.n; i++)
		for (size_t k = 0; k < w->g.node[i].n_refs; k++)
			is_root[w->g.node[i].refs[k]] = false;
	return is_root;
}

/* Writes why the closure contains the path of --why. */
static void write_why(struct work *w)
{
	struct buf path = {0}, out = {0};
	struct err e;
	uint32_t *order = mem_zero(w->g.paths.n, sizeof *order), target;

	/* In a cycle, nothing would be a root. */
	if (operand_root(&w->store, w->o->why, &path, &e) < 0 ||
	    graph_sort(&w->g, order, &e) < 0)
		die("%s", e.text);
	target = strset_find(&w->g.paths, path.data, path.len);
	if (target == STRSET_NONE)
		die("%s: not in the closure", path.data);
	bool *is_root = mark_roots(w);
	why_write(&w->g, is_root, target, &out);
	io_finish_text(&out);
	free(is_root);
	free(order);
	buf_release(&out);
	buf_release(&path);
}

static void release(struct work *w)
{
	references_release(&w->references);
	graph_release(&w->g);
	store_release(&w->store);
	cache_release(&w->cache);
	strset_release(&w->mentions);
	signature_release(&w->trust.keys);
}

/* Reads the keys early, so that a wrong one is an error of the command line. */
static void read_keys(struct work *w)
{
	const char *keys = w->o->keys != NULL ? w->o->keys : default_keys;
	struct err e;

	if (signature_add_keys(&w->trust.keys, keys, &e) < 0)
		die_usage("--trusted-public-keys: %s", e.text);
	w->trust.needed = w->o->sigs_needed;
}

int main(int argc, char **argv)
{
	struct options o;
	struct work w = {.o = &o};

	err_init("dt-closure");
	io_init();
	parse_args(&o, argc, argv);
	read_keys(&w);
	io_begin(opt_output(), IO_TEXT);
	store_init(&w.store, o.store);
	w.references.store = &w.store;
	open_named(&w);
	read_roots(&w);
	/* A text without mentions needs no store. */
	if (w.g.paths.n + w.mentions.n > 0)
		complete(&w);
	if (o.why != NULL)
		write_why(&w);
	else
		write_paths(&w);
	release(&w);
	return 0;
}
