/*
 * dt-layer: reproducible layers of store paths.
 *
 * stdin: a plan, dt-plan(5). stdout: a layer archive, dt-image(5).
 */
#include "base/buf.h"
#include "base/cache.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/pool.h"
#include "base/progress.h"
#include "image/stubs.h"
#include "image/writer.h"
#include "plan/plan.h"
#include "store/store.h"
#include "tree/layer.h"
#include "tree/sink.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const steps[PROGRESS_STEPS] = {"hashing", "writing"};

enum { COMMENT_MAX = 64 << 10 };

struct options {
	struct layer_style style;
	const char *store, *only, *digests;
	bool raw, no_cache;
};

/*
 * The memory for the trees, and for what is hashed and not yet written. Most layers of an
 * image fit into it.
 */
enum { MEMORY = 8 << 20 };

enum { OPT_DIGESTS = 1, OPT_NO_CACHE, OPT_ONLY, OPT_OWNER, OPT_RAW, OPT_STORE };

static const struct opt option_table[] = {
    LAYER_STYLE_OPTIONS,
    {OPT_OWNER, "owner", "UID:GID", "owner of all files (0:0)"},
    WRITER_OPTION_ONLY(OPT_ONLY),
    {OPT_DIGESTS, "digests", "FILE",
     "take the digests from the layers or stubs of this archive"},
    {OPT_RAW, "raw", NULL, "write the tar of the only layer, not an archive of layers"},
    {OPT_STORE, "store", "DIR", "the store, or the root of a system that has one"},
    {OPT_NO_CACHE, "no-cache", NULL, "do not use the cache of digests"},
    OPT_VERBOSE,
    {0},
};

static const struct opt_moved moved[] = {
    {"tree", "dt-root --tree"},
    {"tar", "dt-root --tar"},
    {"copy", "dt-root --copy"},
    {"links", "dt-root --links"},
    {"env", "dt-root --env, which takes a file"},
    {"single", "dt-root --plan -"},
    {"comment", "dt-root --comment"},
    {"keep-dirlinks", "dt-root --keep-dirlinks"},
    {"keep-directories", "dt-root --keep-directories"},
    {"keep-folders", "dt-root --keep-directories"},
    {"from", "dt-root --from"},
    {"from-name", "dt-root --from-name"},
    {"from-tag", "dt-root --from-tag"},
    {"arch", "dt-root --arch"},
    {"os", "dt-root --os"},
    {"max-unpacked", "dt-root --max-unpacked"},
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... <PLAN >LAYERS",
    .purpose =
	"Reads a plan and writes a layer archive: a layer for each line of store paths.",
    .options = option_table,
    .moved = moved,
};

static void set_owner(struct options *o, const char *value)
{
	if (strcmp(value, "keep") == 0)
		die_usage("--owner keep is now dt-root --owner keep");
	if (layer_style_owner(&o->style, value) < 0)
		die_usage("--owner takes UID:GID, two numbers, not '%s'", value);
}

static void parse_args(struct options *o, int argc, char **argv)
{
	*o = (struct options){0};
	layer_style_init(&o->style);
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;) {
		switch (key) {
		case OPT_DIGESTS:
			o->digests = optarg;
			break;
		case OPT_NO_CACHE:
			o->no_cache = true;
			break;
		case OPT_ONLY:
			o->only = optarg;
			break;
		case OPT_OWNER:
			set_owner(o, optarg);
			break;
		case OPT_RAW:
			o->raw = true;
			break;
		case OPT_STORE:
			o->store = optarg;
			break;
		default:
			layer_style_option(&o->style, key, optarg);
		}
	}
	if (optind < argc)
		die_usage("unexpected operand '%s'", argv[optind]);
	if (o->raw && o->only != NULL)
		die_usage("--raw and --only exclude each other");
	if (o->raw && o->digests != NULL)
		die_usage("--raw and --digests exclude each other");
	if ((o->only != NULL && strcmp(o->only, "-") == 0) ||
	    (o->digests != NULL && strcmp(o->digests, "-") == 0))
		die_usage("standard input is for the plan");
}

struct work {
	const struct options *options;
	struct store store;
	struct cache cache;
	struct writer writer;
	struct stubs stubs; /* of --digests */
	struct record_budget budget;
	struct layer *layer;
	size_t n, cap;
	struct layer_part **part; /* of all layers */
	size_t n_parts;
	size_t largest;                 /* the layer with the most bytes */
	struct progress_task *task;     /* of each layer */
	uint64_t bytes;                 /* of the files of all layers */
	_Atomic uint64_t cached;        /* bytes of the files that need not be hashed */
	_Atomic size_t scanned;         /* parts */
	_Atomic size_t hashed, written; /* layers */
};

static int add_path(void *arg, const char *path, size_t layer, struct err *e)
{
	struct work *w = arg;

	if (store_check(&w->store, path, e) < 0)
		return -1;
	if (layer == w->n) {
		w->layer = mem_grow(w->layer, &w->cap, w->n + 1, sizeof *w->layer);
		w->layer[w->n++] = (struct layer){
		    .style = &w->options->style,
		    .parents = mem_strdup(w->store.dir),
		};
	}
	layer_add(&w->layer[layer])->prefix = mem_strdup(path);
	return 0;
}

/* Whether the layer's digest is known, so that its files need not be read. */
static bool is_known(const struct layer *layer)
{
	return layer->diff_id[0] != '\0';
}

static void list_parts(struct work *w)
{
	size_t cap = 0;

	for (size_t i = 0; i < w->n; i++) {
		struct layer *layer = &w->layer[i];
		for (size_t k = 0; k < layer->n && !is_known(layer); k++) {
			w->part =
			    mem_grow(w->part, &cap, w->n_parts + 1, sizeof(*w->part));
			w->part[w->n_parts++] = &layer->part[k];
		}
	}
}

static void scan_part(void *arg, size_t i)
{
	static const struct tree_scan how = {.no_devices = true};
	struct work *w = arg;
	struct layer_part *part = w->part[i];
	struct buf place = {0};

	store_locate(&w->store, part->prefix, &place);
	tree_scan(&part->tree, place.data, &how);
	buf_release(&place);
	w->scanned++;
}

static void sum_of_scan(void *arg, struct progress_sum *s)
{
	const struct work *w = arg;

	*s = (struct progress_sum){
	    .what = "paths found", .done = w->scanned, .total = w->n_parts};
}

/* Records get the memory that the trees do not need. */
static void set_budget(struct work *w)
{
	size_t trees = 0;

	for (size_t i = 0; i < w->n_parts; i++) {
		const struct tree *t = &w->part[i]->tree;
		trees += t->n * sizeof *t->entry + t->names.len;
	}
	w->budget.left = trees < MEMORY ? MEMORY - trees : 0;
}

/* Finds all files of all layers, on all cores. */
static void scan_layers(struct work *w)
{
	list_parts(w);
	progress_start(sum_of_scan, w);
	pool_release(pool_start(w->n_parts, scan_part, w));
	progress_stop();
	set_budget(w);
	uint64_t most = 0;
	for (size_t i = 0; i < w->n; i++) {
		uint64_t bytes = layer_bytes(&w->layer[i]);
		w->bytes += bytes;
		if (bytes > most) {
			most = bytes;
			w->largest = i;
		}
	}
}

/*
 * Layers are measured in their order, but the largest one first: it may take one core
 * as long as all the others take the rest.
 */
static size_t turn_of(const struct work *w, size_t i)
{
	return i == w->largest ? 0 : i < w->largest ? i + 1 : i;
}

static void measure(void *arg, size_t turn)
{
	struct work *w = arg;
	size_t i = turn == 0 ? w->largest : turn <= w->largest ? turn - 1 : turn;

	if (!is_known(&w->layer[i])) {
		char name[32];
		snprintf(name, sizeof name, "layer %zu", i + 1);
		progress_begin(&w->task[i], steps, name);
		layer_measure(&w->layer[i], &w->cache, &w->budget);
		progress_finish(&w->task[i]);
	}
	if (w->layer[i].why_hashed == NULL)
		w->cached += layer_bytes(&w->layer[i]);
	w->hashed++;
}

/* The progress of hashing, then of writing. Writing is always behind, and much faster. */
static void sum(void *arg, struct progress_sum *s)
{
	const struct work *w = arg;
	bool is_hashing = w->hashed < w->n;

	*s = (struct progress_sum){
	    .what = is_hashing ? "layers hashed" : "layers written",
	    .done = is_hashing ? w->hashed : w->written,
	    .total = w->n,
	    .all = is_hashing ? w->bytes - w->cached : w->bytes,
	};
	for (size_t i = 0; i < w->n; i++)
		s->bytes += w->task[i].step[is_hashing ? SINK_HASH : SINK_WRITE].done;
}

/*
 * What nixpkgs says of a layer in the image's history, a list as Python prints it; of a
 * layer of very many paths only the first ones are named, since readers bound it.
 */
static void describe(const struct layer *layer, struct buf *out)
{
	size_t i = 0;

	buf_addstr(out, "store paths: [");
	for (; i < layer->n && out->len < COMMENT_MAX; i++)
		buf_addf(out, "%s'%s'", i > 0 ? ", " : "", layer->part[i].prefix);
	if (i < layer->n)
		buf_addf(out, ", and %zu more", layer->n - i);
	buf_addch(out, ']');
}

/*
 * Sets the digests of the layers that are left out to those of --digests. Only a stub of
 * such a layer is written, so its files are not read.
 */
static void read_digests(struct work *w)
{
	struct buf comment = {0};
	struct err why;

	if (stubs_read(&w->stubs, w->options->digests, &why) < 0)
		die("%s", why.text);
	for (size_t i = 0; i < w->n; i++) {
		struct layer *layer = &w->layer[i], known = {0};
		buf_clear(&comment);
		describe(layer, &comment);
		if (stubs_use(&w->stubs, i, comment.data, &known, &why) < 0)
			die("%s", why.text);
		if (writer_leaves_out(&w->writer, known.diff_id)) {
			memcpy(layer->diff_id, known.diff_id, sizeof layer->diff_id);
			layer->size = known.size;
		}
	}
	buf_release(&comment);
}

/* Reports how the digest became known, and whether the layer is written. */
static void report(const struct writer *w, size_t i, const struct layer *l)
{
	struct buf text = {0};

	if (*l->key == '\0')
		buf_addstr(&text, "not read: its digest is that of --digests");
	else
		layer_explain(l, &text);
	if (writer_leaves_out(w, l->diff_id))
		buf_addstr(&text, "; a stub: --only does not list it");
	else if (writer_has(w, l->diff_id))
		buf_addstr(&text, "; not written: it is the same as a layer before");
	inform("layer %zu, sha256:%s, %zu %s: %s", i + 1, l->diff_id, l->n,
	       l->n == 1 ? "path" : "paths", text.data);
	buf_release(&text);
}

static void write_layers(struct work *w)
{
	w->task = mem_zero(w->n, sizeof *w->task);
	for (size_t i = 0; i < w->n; i++)
		w->layer[i].task = &w->task[i];
	progress_start(sum, w);
	struct pool *pool = pool_start(w->n, measure, w);
	struct buf comment = {0};
	struct err why;

	for (size_t i = 0; i < w->n; i++) {
		struct layer *layer = &w->layer[i];
		pool_wait(pool, turn_of(w, i));
		buf_clear(&comment);
		describe(layer, &comment);
		if (w->options->digests != NULL &&
		    stubs_use(&w->stubs, i, comment.data, layer, &why) < 0)
			die("%s", why.text);
		report(&w->writer, i, layer);
		writer_layer(&w->writer, layer, comment.data);
		layer_release(layer);
		w->written++;
	}
	progress_stop();
	pool_release(pool);
	buf_release(&comment);
}

static void release_work(struct work *w)
{
	for (size_t i = 0; i < w->n; i++)
		layer_release(&w->layer[i]);
	free(w->layer);
	free(w->task);
	free(w->part);
	stubs_release(&w->stubs);
	writer_release(&w->writer);
	cache_release(&w->cache);
	store_release(&w->store);
}

int main(int argc, char **argv)
{
	struct options o;
	struct work w = {.options = &o, .writer = {.fd = 1}};
	struct err why;

	err_init("dt-layer");
	io_init();
	parse_args(&o, argc, argv);
	io_begin(opt_output(), IO_BINARY);
	store_init(&w.store, o.store);
	cache_init(&w.cache, !o.no_cache);
	if (plan_scan_file("-", add_path, &w, &why) < 0)
		die("%s", why.text);
	if (writer_limit(&w.writer, o.only, &why) < 0)
		die("%s", why.text);
	if (o.digests != NULL)
		read_digests(&w);
	if (o.raw && w.n > 1)
		die("--raw writes one layer, but the plan has %zu", w.n);
	io_pipe_grow(1);
	scan_layers(&w);
	if (o.raw) {
		layer_write(&w.layer[0], 1);
	} else {
		write_layers(&w);
		writer_end(&w.writer);
	}
	io_finish();
	release_work(&w);
	return 0;
}
