/*
 * dt-root: one layer of files at the image's root.
 *
 * stdin: only if an option names it. stdout: a layer archive, dt-image(5).
 */
#include "base/buf.h"
#include "base/cache.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/progress.h"
#include "base/strset.h"
#include "image/flat.h"
#include "image/sources.h"
#include "image/writer.h"
#include "plan/plan.h"
#include "store/store.h"
#include "tree/layer.h"
#include "tree/sink.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { DIRECTORIES_MAX = 256 << 20 };

enum {
	OPT_COMMENT = 1,
	OPT_COPY,
	OPT_ENV,
	OPT_KEEP_DIRECTORIES,
	OPT_KEEP_DIRLINKS,
	OPT_LINKS,
	OPT_NO_CACHE,
	OPT_ONLY,
	OPT_OWNER,
	OPT_PLAN,
	OPT_RAW,
	OPT_STORE,
	OPT_TAR,
	OPT_TREE
};

/* An option that names files for the layer. */
struct operand {
	int key;
	const char *value;
};

struct options {
	struct layer_style style;
	const char *store, *comment, *keep_directories, *only;
	struct image_choice base;
	struct operand *operand;
	size_t n_operands, cap_operands;
	bool keep_owners, owner_is_chosen, keep_dirlinks, raw, no_cache;
};

static const struct opt option_table[] = {
    {OPT_TREE, "tree", "DIR", "the contents of a directory, as they are"},
    {OPT_TAR, "tar", "FILE", "the files of a rootfs tar, with their owners"},
    {OPT_COPY, "copy", "PATH",
     "the contents of PATH; symlinks to directories become directories"},
    {OPT_LINKS, "links", "PATH", "symlinks to the contents of a store path"},
    {OPT_ENV, "env", "FILE", "the tree that buildEnv makes of the JSON object in FILE"},
    {OPT_PLAN, "plan", "FILE", "all store paths of a plan, at their places in the store"},
    {OPT_KEEP_DIRLINKS, "keep-dirlinks", NULL,
     "in copies and environments, keep symlinks to directories"},
    {OPT_KEEP_DIRECTORIES, "keep-directories", "FILE",
     "directories of --tree to keep as they are; a NUL ends each name"},
    {IMAGE_OPT_FROM, "from", "FILE", "the image archive that the layer goes on top of"},
    IMAGE_OPTIONS,
    {OPT_COMMENT, "comment", "TEXT", "the layer's comment in the image's history"},
    LAYER_STYLE_OPTIONS,
    {OPT_OWNER, "owner", "UID:GID", "owner of all files (0:0); keep: those of a --tree"},
    WRITER_OPTION_ONLY(OPT_ONLY),
    {OPT_RAW, "raw", NULL, "write the layer's bare tar"},
    {OPT_STORE, "store", "DIR", "the store, or the root of a system that has one"},
    {OPT_NO_CACHE, "no-cache", NULL, "do not use the cache of digests"},
    OPT_VERBOSE,
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "{--tree DIR | --copy PATH | ...}... [OPTION]... >LAYERS",
    .purpose = "Writes a layer archive with one layer: files at the root of the image.",
    .options = option_table,
};

static void set_owner(struct options *o, const char *value)
{
	o->keep_owners = strcmp(value, "keep") == 0;
	o->owner_is_chosen = !o->keep_owners;
	if (!o->keep_owners && layer_style_owner(&o->style, value) < 0)
		die_usage("--owner takes UID:GID, two numbers, or keep, not '%s'", value);
}

static void add_operand(struct options *o, int key, const char *value)
{
	o->operand =
	    mem_grow(o->operand, &o->cap_operands, o->n_operands + 1, sizeof *o->operand);
	o->operand[o->n_operands++] = (struct operand){key, value};
}

static bool is_stdin(const char *file)
{
	return file != NULL && strcmp(file, "-") == 0;
}

static void check_options(const struct options *o)
{
	bool has_tar = false;
	int from_stdin =
	    is_stdin(o->base.from) + is_stdin(o->keep_directories) + is_stdin(o->only);

	if (o->n_operands == 0)
		die_usage("no files for the layer: --tree, --tar, --copy, --links, --env "
			  "or --plan is missing");
	for (size_t i = 0; i < o->n_operands; i++) {
		int key = o->operand[i].key;
		has_tar = has_tar || key == OPT_TAR;
		if (key == OPT_TAR || key == OPT_ENV || key == OPT_PLAN)
			from_stdin += is_stdin(o->operand[i].value);
	}
	if (has_tar && o->owner_is_chosen)
		die_usage("--owner UID:GID does not go with --tar, whose files have "
			  "owners of their own");
	if (o->keep_directories != NULL && !o->keep_owners)
		die_usage("--keep-directories goes with --owner keep");
	if (o->base.from == NULL && !image_choice_is_empty(&o->base))
		die_usage("--from-name, --from-tag, --arch and --os go with --from");
	if (o->raw && o->only != NULL)
		die_usage("--raw and --only exclude each other");
	if (from_stdin > 1)
		die_usage("standard input can be read but once");
}

static void parse_args(struct options *o, int argc, char **argv)
{
	*o = (struct options){.comment = "customisation layer"};
	layer_style_init(&o->style);
	image_choice_init(&o->base);
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;) {
		switch (key) {
		case OPT_COPY:
		case OPT_ENV:
		case OPT_LINKS:
		case OPT_PLAN:
		case OPT_TAR:
		case OPT_TREE:
			add_operand(o, key, optarg);
			break;
		case OPT_COMMENT:
			o->comment = optarg;
			break;
		case OPT_KEEP_DIRECTORIES:
			o->keep_directories = optarg;
			break;
		case OPT_KEEP_DIRLINKS:
			o->keep_dirlinks = true;
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
			if (!layer_style_option(&o->style, key, optarg))
				image_choice_option(&o->base, key, optarg);
		}
	}
	if (optind < argc)
		die_usage("unexpected operand '%s'", argv[optind]);
	check_options(o);
}

/* The store paths of all plans. */
struct paths {
	struct store *store;
	char **path;
	size_t n, cap;
};

static int add_path(void *arg, const char *path, size_t layer, struct err *e)
{
	struct paths *p = arg;

	(void)layer;
	if (store_check(p->store, path, e) < 0)
		return -1;
	p->path = mem_grow(p->path, &p->cap, p->n + 1, sizeof *p->path);
	p->path[p->n++] = mem_strdup(path);
	return 0;
}

static void read_plans(const struct options *o, struct paths *p)
{
	struct err why;

	for (size_t i = 0; i < o->n_operands; i++) {
		const struct operand *operand = &o->operand[i];
		if (operand->key == OPT_PLAN &&
		    plan_scan_file(operand->value, add_path, p, &why) < 0)
			die("%s", why.text);
	}
}

/* The names in the file of --keep-directories. */
static void read_directories(const char *file, struct strset *directories)
{
	struct buf text = {0};
	struct err why;

	if (io_slurp_file(file, &text, DIRECTORIES_MAX) < 0)
		die_errno("%s", io_name(file));
	if (sources_parse_directories(text.data, text.len, io_name(file), directories,
				      &why) < 0)
		die("%s", why.text);
	buf_release(&text);
}

static void add_source(struct sources *s, const struct operand *operand)
{
	struct err why;

	switch (operand->key) {
	case OPT_TREE:
		sources_add(s, TREE_AS_IS, operand->value);
		break;
	case OPT_TAR:
		sources_add_tar(s, operand->value);
		break;
	case OPT_COPY:
		sources_add(s, TREE_COPY, operand->value);
		break;
	case OPT_LINKS:
		sources_add(s, TREE_LINKS, operand->value);
		break;
	case OPT_ENV:
		if (sources_add_env(s, operand->value, &why) < 0)
			die("%s", why.text);
		break;
	}
}

/* Merges all files into the layer. */
static void make_layer(const struct options *o, struct store *store, struct layer *l)
{
	struct sources s = {.store = store,
			    .keep_owners = o->keep_owners,
			    .owner_is_chosen = o->owner_is_chosen,
			    .keep_dirlinks = o->keep_dirlinks};
	struct paths paths = {.store = store};
	struct strset directories = {0};
	struct flat base = {0};
	struct err why;

	read_plans(o, &paths);
	if (o->keep_directories != NULL) {
		read_directories(o->keep_directories, &directories);
		s.keep_directories = &directories;
	}
	if (o->base.from != NULL) {
		if (flat_open(&base, &o->base, false, &why) < 0)
			die("%s", why.text);
		s.base = &base.rootfs;
		s.base_name = o->base.from;
	}
	for (size_t i = 0; i < o->n_operands; i++)
		add_source(&s, &o->operand[i]);
	for (size_t i = 0; i < paths.n; i++) {
		sources_add_store_path(&s, paths.path[i]);
		free(paths.path[i]);
	}
	sources_merge(&s, &layer_add(l)->tree);
	free(paths.path);
	sources_release(&s);
	strset_release(&directories);
	flat_release(&base);
}

/* Reports how the digest became known, and whether the layer is written. */
static void report(const struct writer *w, const struct layer *l)
{
	struct buf text = {0};

	layer_explain(l, &text);
	inform("layer sha256:%s: %s%s", l->diff_id, text.data,
	       writer_leaves_out(w, l->diff_id) ? "; a stub: --only does not list it"
						: "");
	buf_release(&text);
}

/* The progress of hashing, then of writing the layer. */
static void sum(void *arg, struct progress_sum *s)
{
	const struct progress_task *t = arg;
	int step = t->now;

	*s = (struct progress_sum){
	    .what = step == SINK_HASH ? "layers hashed" : "layers written",
	    .total = 1,
	    .bytes = t->step[step].done,
	    .all = t->step[step].total,
	};
}

/* Writes the layer archive. */
static void write_archive(const struct options *o, struct layer *l)
{
	struct writer writer = {.fd = 1};
	struct cache cache;
	struct err why;

	if (writer_limit(&writer, o->only, &why) < 0)
		die("%s", why.text);
	cache_init(&cache, !o->no_cache);
	layer_measure(l, &cache, NULL);
	report(&writer, l);
	writer_layer(&writer, l, o->comment);
	writer_end(&writer);
	writer_release(&writer);
	cache_release(&cache);
}

int main(int argc, char **argv)
{
	struct options o;
	struct store store = {0};
	struct layer layer = {.style = &o.style};
	struct progress_task task = {0};

	err_init("dt-root");
	io_init();
	parse_args(&o, argc, argv);
	io_begin(opt_output(), IO_BINARY);
	store_init(&store, o.store);
	io_pipe_grow(1);
	make_layer(&o, &store, &layer);
	layer.task = &task;
	progress_start(sum, &task);
	if (o.raw)
		layer_write(&layer, 1);
	else
		write_archive(&o, &layer);
	progress_stop();
	io_finish();
	layer_release(&layer);
	store_release(&store);
	free(o.operand);
	return 0;
}
