/*
 * dt-layer: reproducible layers of store paths and of file trees.
 *
 * stdin: a plan, dt-plan(5). stdout: a layer archive, dt-image(5).
 */
#include "archive/path.h"
#include "base/buf.h"
#include "base/cache.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/opt.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/strset.h"
#include "base/timestamp.h"
#include "image/flat.h"
#include "image/sources.h"
#include "image/writer.h"
#include "plan/plan.h"
#include "store/store.h"
#include "tree/layer.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLAN_MAX = 256 << 20, ID_MAX = INT32_MAX, COMMENT_MAX = 64 << 10 };

/* One --tree, --tar, --copy, --links or --env, whose contents go to the root. */
struct operand {
	enum tree_kind kind;
	bool is_tar; /* of TREE_AS_IS */
	const char *value;
};

struct options {
	struct layer_style style;
	const char *store, *comment;
	struct image_choice base;
	const char *keep_directories;
	struct operand *operand;
	size_t n_operands, cap_operands;
	bool single, keep_owners, owner_is_chosen, keep_dirlinks, raw, no_cache;
};

enum {
	OPT_COMMENT = 1,
	OPT_COPY,
	OPT_ENV,
	OPT_GNAME,
	OPT_KEEP_DIRLINKS,
	OPT_KEEP_DIRECTORIES,
	OPT_LINKS,
	OPT_MTIME,
	OPT_NO_CACHE,
	OPT_OWNER,
	OPT_RAW,
	OPT_SINGLE,
	OPT_STORE,
	OPT_TAR,
	OPT_TREE,
	OPT_UNAME
};

static const struct opt option_table[] = {
    {OPT_MTIME, "mtime", "TIME",
     "time of all files (SOURCE_DATE_EPOCH, else 1970-01-01T00:00:01Z)"},
    {OPT_OWNER, "owner", "UID:GID",
     "owner of all files (0:0); keep: that of each in a --tree"},
    {OPT_UNAME, "uname", "NAME", "the owner's name (root)"},
    {OPT_GNAME, "gname", "NAME", "the group's name (root)"},
    {OPT_TREE, "tree", "DIR", "no plan: a layer of DIR's contents, at the root"},
    {OPT_TAR, "tar", "FILE",
     "no plan: a layer of the files in a rootfs tar, as they are"},
    {OPT_COPY, "copy", "PATH", "the same, but links to directories become directories"},
    {OPT_LINKS, "links", "PATH",
     "no plan: a layer of links to what is in PATH, at the root"},
    {OPT_ENV, "env", "JSON", "no plan: what buildEnv makes of paths and pathsToLink"},
    {OPT_KEEP_DIRLINKS, "keep-dirlinks", NULL,
     "links to directories stay, and others' files go where they lead"},
    {OPT_KEEP_DIRECTORIES, "keep-directories", "FILE",
     "these directories of --tree stay as they are, a NUL after each"},
    {OPT_SINGLE, "single", NULL, "one layer of all these and the plan together"},
    {IMAGE_OPT_FROM, "from", "FILE",
     "the image archive that such a layer goes on top of"},
    IMAGE_OPTIONS,
    {OPT_COMMENT, "comment", "TEXT", "what the image's history says of such a layer"},
    {OPT_RAW, "raw", NULL, "write the one layer's bare tar"},
    {OPT_STORE, "store", "DIR", "the store, or the root of a system that has one"},
    {OPT_NO_CACHE, "no-cache", NULL, "neither ask nor fill the cache of digests"},
    {0},
};

static const struct opt_moved moved[] = {{"keep-folders", "--keep-directories"}, {0}};
static const struct opt_tool tool = {
    .synopsis = "[OPTION]... <PLAN >LAYERS",
    .purpose = "Reads a plan, a line of store paths a layer, and writes a layer archive.",
    .options = option_table,
    .moved = moved,
};

static void parse_owner(struct options *o, const char *value)
{
	struct layer_style *style = &o->style;
	const char *colon = strchr(value, ':');

	o->keep_owners = strcmp(value, "keep") == 0;
	o->owner_is_chosen = !o->keep_owners;
	if (o->keep_owners)
		return;
	if (colon == NULL ||
	    num_parse(value, (size_t)(colon - value), ID_MAX, &style->uid) < 0 ||
	    num_parse(colon + 1, strlen(colon + 1), ID_MAX, &style->gid) < 0)
		die_usage("--owner takes UID:GID, two numbers, or keep, not '%s'", value);
}

static void add_operand(struct options *o, enum tree_kind kind, const char *value)
{
	o->operand =
	    mem_grow(o->operand, &o->cap_operands, o->n_operands + 1, sizeof *o->operand);
	o->operand[o->n_operands++] = (struct operand){.kind = kind, .value = value};
}

static void check_inputs(const struct options *o)
{
	size_t n_tars = 0, from_stdin = o->single;

	from_stdin += o->base.from != NULL && strcmp(o->base.from, "-") == 0;
	for (size_t i = 0; i < o->n_operands; i++) {
		if (!o->operand[i].is_tar)
			continue;
		n_tars++;
		from_stdin += strcmp(o->operand[i].value, "-") == 0;
	}
	if (n_tars > 0 && o->owner_is_chosen)
		die_usage("--owner UID:GID does not go with --tar, whose files have "
			  "owners of their own");
	if (from_stdin > 1)
		die_usage("standard input can be read but once");
}

static void check_options(const struct options *o)
{
	bool is_one = o->single || o->n_operands > 0;

	if (!is_one && (o->comment != NULL || o->base.from != NULL || o->keep_dirlinks ||
			o->keep_owners))
		die_usage("--comment, --from, --keep-dirlinks and --owner keep go with "
			  "--tree, --tar, --copy, --links, --env or --single");
	if (o->keep_directories != NULL && !o->keep_owners)
		die_usage("--keep-directories goes with --owner keep");
	if (o->base.from == NULL && !image_choice_is_empty(&o->base))
		die_usage("--from-name, --from-tag, --arch and --os go with --from");
	check_inputs(o);
}

static void parse_args(struct options *o, int argc, char **argv)
{
	*o = (struct options){.style = {.uname = "root", .gname = "root"}};
	o->style.mtime = timestamp_default();
	image_choice_init(&o->base);
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;) {
		switch (key) {
		case OPT_COMMENT:
			o->comment = optarg;
			break;
		case OPT_COPY:
			add_operand(o, TREE_COPY, optarg);
			break;
		case OPT_ENV:
			add_operand(o, TREE_ENV, optarg);
			break;
		case OPT_GNAME:
			o->style.gname = optarg;
			break;
		case OPT_KEEP_DIRLINKS:
			o->keep_dirlinks = true;
			break;
		case OPT_KEEP_DIRECTORIES:
			o->keep_directories = optarg;
			break;
		case OPT_LINKS:
			add_operand(o, TREE_LINKS, optarg);
			break;
		case OPT_MTIME:
			o->style.mtime = timestamp_option("mtime", optarg);
			break;
		case OPT_NO_CACHE:
			o->no_cache = true;
			break;
		case OPT_OWNER:
			parse_owner(o, optarg);
			break;
		case OPT_RAW:
			o->raw = true;
			break;
		case OPT_SINGLE:
			o->single = true;
			break;
		case OPT_STORE:
			o->store = optarg;
			break;
		case OPT_TAR:
			add_operand(o, TREE_AS_IS, optarg);
			o->operand[o->n_operands - 1].is_tar = true;
			break;
		case OPT_TREE:
			add_operand(o, TREE_AS_IS, optarg);
			break;
		case OPT_UNAME:
			o->style.uname = optarg;
			break;
		default:
			image_choice_option(&o->base, key, optarg);
		}
	}
	if (optind < argc)
		die_usage("unexpected operand '%s'", argv[optind]);
	check_options(o);
}

/* A layer of the plan: its paths, and then the layer itself. */
struct job {
	char **path;
	size_t n, cap;
	struct layer layer;
};

struct work {
	const struct options *options;
	struct store store;
	struct cache cache;
	struct writer writer;
	struct job *job;
	size_t n, cap;
	struct layer_part **part; /* of all layers */
	size_t n_parts;
	size_t largest; /* the layer with the most bytes */
};

static int add_path(void *arg, const char *path, size_t layer, struct err *e)
{
	struct work *w = arg;

	if (store_check(&w->store, path, e) < 0)
		return -1;
	if (layer == w->n) {
		w->job = mem_grow(w->job, &w->cap, w->n + 1, sizeof *w->job);
		w->job[w->n++] = (struct job){0};
	}
	struct job *job = &w->job[layer];
	job->path = mem_grow(job->path, &job->cap, job->n + 1, sizeof *job->path);
	job->path[job->n++] = mem_strdup(path);
	return 0;
}

static void read_plan(struct work *w)
{
	struct buf text = {0};
	struct err e;

	if (io_slurp(STDIN_FILENO, &text, PLAN_MAX) < 0)
		die_errno("stdin");
	if (plan_scan(text.data, text.len, "stdin", add_path, w, &e) < 0)
		die("%s", e.text);
	buf_release(&text);
}

/* Makes the layers of the plan, and lists where each path's tree goes. */
static void begin_layers(struct work *w)
{
	size_t cap = 0;

	for (size_t i = 0; i < w->n; i++) {
		struct job *job = &w->job[i];
		job->layer.style = &w->options->style;
		job->layer.parents = mem_strdup(w->store.dir);
		for (size_t k = 0; k < job->n; k++)
			layer_add(&job->layer)->prefix = mem_strdup(job->path[k]);
		for (size_t k = 0; k < job->n; k++) {
			w->part =
			    mem_grow(w->part, &cap, w->n_parts + 1, sizeof(*w->part));
			w->part[w->n_parts++] = &job->layer.part[k];
		}
	}
}

static void scan_part(void *arg, size_t i)
{
	static const struct tree_scan how = {.no_devices = true};
	const struct work *w = arg;
	struct layer_part *part = w->part[i];
	struct buf place = {0};

	store_locate(&w->store, part->prefix, &place);
	tree_scan(&part->tree, place.data, &how);
	buf_release(&place);
}

/* Finds all files of all layers, on all cores. */
static void scan_layers(struct work *w)
{
	begin_layers(w);
	pool_release(pool_start(w->n_parts, scan_part, w));
	uint64_t most = 0;
	for (size_t i = 0; i < w->n; i++) {
		uint64_t bytes = 0;
		for (size_t k = 0; k < w->job[i].layer.n; k++)
			bytes += w->job[i].layer.part[k].tree.bytes;
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

	layer_measure(&w->job[i].layer, &w->cache);
}

/*
 * What nixpkgs says of a layer in the image's history, a list as Python prints it; of a
 * layer of very many paths only the first ones are named, since readers bound it.
 */
static void describe(const struct job *job, struct buf *out)
{
	size_t i = 0;

	buf_addstr(out, "store paths: [");
	for (; i < job->n && out->len < COMMENT_MAX; i++)
		buf_addf(out, "%s'%s'", i > 0 ? ", " : "", job->path[i]);
	if (i < job->n)
		buf_addf(out, ", and %zu more", job->n - i);
	buf_addch(out, ']');
}

/* Writes the layer, unless the archive has it already. */
static void write_layer(struct work *w, struct layer *l, const char *comment)
{
	if (!writer_begin(&w->writer, l->diff_id, l->size, comment, strlen(comment)))
		return;
	layer_write(l, 1);
	writer_pad(&w->writer, l->size);
}

static void release_job(struct job *job)
{
	for (size_t i = 0; i < job->n; i++)
		free(job->path[i]);
	free(job->path);
	layer_release(&job->layer);
	*job = (struct job){0};
}

static void write_layers(struct work *w)
{
	struct pool *pool = pool_start(w->n, measure, w);
	struct buf comment = {0};

	for (size_t i = 0; i < w->n; i++) {
		struct job *job = &w->job[i];
		pool_wait(pool, turn_of(w, i));
		buf_clear(&comment);
		describe(job, &comment);
		write_layer(w, &job->layer, comment.data);
		release_job(job);
		progress("layers", i + 1, w->n, w->writer.bytes);
	}
	progress_end();
	pool_release(pool);
	buf_release(&comment);
}

/* --- the one layer of --single, --tree and the like --- */

/* The names in the file of --keep-directories. */
static void read_directories(const char *file, struct strset *directories)
{
	struct buf text = {0}, path = {0};

	if (io_slurp_file(file, &text, PLAN_MAX) < 0)
		die_errno("%s", file);
	if (text.len > 0 && text.data[text.len - 1] != '\0')
		die("%s: truncated, no NUL ends the last name", file);
	for (size_t at = 0; at < text.len; at += strlen(text.data + at) + 1) {
		path_clean(text.data + at, &path);
		strset_add(directories, path.data, path.len);
	}
	buf_release(&text);
	buf_release(&path);
}

static void merge_all(struct work *w, struct layer *l)
{
	const struct options *o = w->options;
	struct sources s = {.store = &w->store,
			    .keep_owners = o->keep_owners,
			    .owner_is_chosen = o->owner_is_chosen,
			    .keep_dirlinks = o->keep_dirlinks};
	struct strset directories = {0};
	struct flat base = {0};
	struct err why;

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
	for (size_t i = 0; i < o->n_operands; i++) {
		const struct operand *operand = &o->operand[i];
		if (operand->is_tar)
			sources_add_tar(&s, operand->value);
		else if (operand->kind != TREE_ENV)
			sources_add(&s, operand->kind, operand->value);
		else if (sources_add_env(&s, operand->value, &why) < 0)
			die("--env: %s", why.text);
	}
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < w->job[i].n; k++)
			sources_add_store_path(&s, w->job[i].path[k]);
	sources_merge(&s, &layer_add(l)->tree);
	sources_release(&s);
	strset_release(&directories);
	flat_release(&base);
}

static void release_work(struct work *w, struct options *o)
{
	for (size_t i = 0; i < w->n; i++)
		release_job(&w->job[i]);
	free(w->job);
	free(w->part);
	writer_release(&w->writer);
	cache_release(&w->cache);
	store_release(&w->store);
	free(o->operand);
}

int main(int argc, char **argv)
{
	struct options o;
	struct work w = {.options = &o, .writer = {.fd = 1}};
	struct layer one = {.style = &o.style};

	err_init("dt-layer");
	io_init();
	parse_args(&o, argc, argv);
	io_begin(opt_output(), IO_BINARY);
	store_init(&w.store, o.store);
	cache_init(&w.cache, !o.no_cache);
	bool is_one = o.single || o.n_operands > 0;
	if (o.single || !is_one)
		read_plan(&w);
	if (o.raw && !is_one && w.n > 1)
		die("--raw writes one layer, but the plan has %zu", w.n);
	io_pipe_grow(1);
	if (is_one)
		merge_all(&w, &one);
	else
		scan_layers(&w);

	if (o.raw) {
		layer_write(is_one ? &one : &w.job[0].layer, 1);
	} else if (is_one) {
		layer_measure(&one, &w.cache);
		write_layer(&w, &one,
			    o.comment != NULL ? o.comment : "customisation layer");
	} else {
		write_layers(&w);
	}
	if (!o.raw)
		writer_end(&w.writer);
	io_finish();
	layer_release(&one);
	release_work(&w, &o);
	return 0;
}
