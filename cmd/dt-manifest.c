/*
 * dt-manifest: an image of layers: configuration, history, names, base image.
 *
 * stdin, or operands: layer archives; stdout: an image archive; both dt-image(5).
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/opt.h"
#include "base/progress.h"
#include "base/sandbox.h"
#include "base/timestamp.h"
#include "image/annotations.h"
#include "image/config.h"
#include "image/fill.h"
#include "image/image.h"
#include "image/layerinput.h"
#include "image/reference.h"
#include "image/writer.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LAYERS_WARN = 125, /* more are refused by Docker, "max depth exceeded" */
	LAYERS_MAX = 127,  /* more cannot be mounted */
};

struct options {
	char *name; /* in lower case, owned */
	const char *tag, *config, *annotations, *only, *documents;
	struct image_choice base; /* its platform is the image's, too */
	bool env_only, verify, is_oci, has_created;
	int64_t created;
	const char *const *layers; /* the files with the layers */
	size_t n_layers;
};

enum {
	OPT_ANNOTATIONS = 1,
	OPT_CONFIG,
	OPT_CREATED,
	OPT_DOCUMENTS,
	OPT_FORMAT,
	OPT_INHERIT,
	OPT_NAME,
	OPT_ONLY,
	OPT_TAG,
	OPT_VERIFY
};

static const struct opt option_table[] = {
    {OPT_NAME, "name", "NAME", "the image's name, put in lower case"},
    {OPT_TAG, "tag", "TAG", "its tag (derived from the image's content)"},
    {OPT_CONFIG, "config", "FILE", "a JSON object: Cmd, Env, WorkingDir and so on"},
    {OPT_ANNOTATIONS, "annotations", "FILE",
     "a JSON object: annotations of the manifest"},
    {OPT_CREATED, "created", "TIME",
     "when it was made (SOURCE_DATE_EPOCH, else 1970-01-01T00:00:01Z)"},
    {IMAGE_OPT_ARCH, "arch", "ARCH",
     "its architecture (the base image's, else this machine's)"},
    {IMAGE_OPT_OS, "os", "OS", "its operating system (the base image's, else linux)"},
    {IMAGE_OPT_FROM, "from", "FILE", "an image archive to build on"},
    IMAGE_OPTIONS_NAME,
    {OPT_INHERIT, "inherit", "WHAT",
     "what to keep of the base image's configuration: all or env (all)"},
    {OPT_DOCUMENTS, "documents", "FILE",
     "copy the documents of this image archive, which may be thin"},
    {OPT_FORMAT, "format", "NAME", "dt, or oci: without Docker's list of images (dt)"},
    WRITER_OPTION_ONLY(OPT_ONLY),
    {OPT_VERIFY, "verify", NULL, "compare all layers with their digests"},
    OPT_VERBOSE,
    {0},
};

static const struct opt_moved moved[] = {
    {"inspect", "dt-inspect"},
    {"merge", "dt-merge"},
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "--name NAME [OPTION]... [LAYERS]... >IMAGE",
    .purpose = "Reads layer archives and writes an image archive of their layers.",
    .options = option_table,
    .moved = moved,
};

/* Whether the format is oci. */
static bool parse_format(const char *name)
{
	bool is_oci = strcmp(name, "oci") == 0;

	if (!is_oci && strcmp(name, "dt") != 0)
		die_usage("--format takes dt or oci, not '%s'", name);
	return is_oci;
}

static void check_options(const struct options *o)
{
	const char *from = o->base.from;

	if (from == NULL && (o->base.name != NULL || o->base.tag != NULL))
		die_usage("--from-name and --from-tag go with --from");
	if (o->documents != NULL &&
	    (o->name != NULL || o->tag != NULL || o->config != NULL ||
	     o->annotations != NULL || o->env_only || o->has_created))
		die_usage("--documents excludes --name, --tag, --config, --annotations, "
			  "--inherit and --created");
	if (o->name == NULL && o->documents == NULL)
		die_usage("--name is missing");
	if ((o->documents != NULL && strcmp(o->documents, "-") == 0) ||
	    (from != NULL && strcmp(from, "-") == 0) ||
	    (o->config != NULL && strcmp(o->config, "-") == 0) ||
	    (o->annotations != NULL && strcmp(o->annotations, "-") == 0) ||
	    (o->only != NULL && strcmp(o->only, "-") == 0))
		die_usage("standard input is for the layers");
}

/* Whether the image inherits only the variables of its base. */
static bool inherit_option(const char *what)
{
	if (strcmp(what, "env") != 0 && strcmp(what, "all") != 0)
		die_usage("--inherit takes all or env, not '%s'", what);
	return strcmp(what, "env") == 0;
}

static void parse_args(struct options *o, int argc, char **argv)
{
	static const char *const standard_input[] = {"-"};

	*o = (struct options){
	    .created = timestamp_default(), .layers = standard_input, .n_layers = 1};
	image_choice_init(&o->base);
	o->base.may_lack = true; /* a base image may be in a registry */
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;) {
		switch (key) {
		case OPT_ANNOTATIONS:
			o->annotations = optarg;
			break;
		case OPT_CONFIG:
			o->config = optarg;
			break;
		case OPT_CREATED:
			o->created = timestamp_option("created", optarg);
			o->has_created = true;
			break;
		case OPT_DOCUMENTS:
			o->documents = optarg;
			break;
		case OPT_FORMAT:
			o->is_oci = parse_format(optarg);
			break;
		case OPT_INHERIT:
			o->env_only = inherit_option(optarg);
			break;
		case OPT_NAME:
			free(o->name);
			o->name = reference_name_option(optarg);
			break;
		case OPT_ONLY:
			o->only = optarg;
			break;
		case OPT_TAG:
			o->tag = reference_tag_option(optarg);
			break;
		case OPT_VERIFY:
			o->verify = true;
			break;
		default:
			image_choice_option(&o->base, key, optarg);
		}
	}
	if (optind < argc) {
		o->layers = (const char *const *)argv + optind;
		o->n_layers = (size_t)(argc - optind);
	}
	check_options(o);
}

/* The image in the making. */
struct build {
	struct writer writer;
	json_t *base; /* the base image's configuration, or NULL; it is another's */
	struct layerinput in;
};

static json_t *read_config(const struct options *o)
{
	struct err why;

	if (o->config == NULL)
		return json_object();
	json_t *config = json_read_file(o->config, JSON_LIMIT, &why);
	if (config == NULL)
		die("%s", why.text);
	if (config_check(config, &why) < 0)
		die("%s", why.text);
	return config;
}

static json_t *read_annotations(const struct options *o)
{
	struct err why;

	if (o->annotations == NULL)
		return NULL;
	json_t *own = annotations_read(o->annotations, &why);
	if (own == NULL)
		die("%s", why.text);
	return own;
}

/* The whole image configuration. */
static json_t *image_config(const struct build *b, const struct options *o,
			    const char *created, const json_t *config)
{
	bool is_told = json_object_get(b->base, "architecture") != NULL;
	struct err why;
	const struct config_image parts = {
	    .base = b->base,
	    .config = config,
	    .env_only = o->env_only,
	    .diff_ids = b->in.diff_ids,
	    .history = b->in.history,
	    .created = created,
	    .arch = o->base.has_arch || !is_told ? o->base.platform.arch : NULL,
	    .variant = o->base.platform.variant,
	    .os = o->base.has_os ? o->base.os : NULL,
	};

	json_t *image = config_image(&parts);
	if (config_fit(image, &why) < 0)
		die("%s", why.text);
	return image;
}

static void check_count(const struct build *b)
{
	const json_t *base =
	    json_object_get(json_object_get(b->base, "rootfs"), "diff_ids");
	size_t n = json_array_size(base) + json_array_size(b->in.diff_ids);

	if (n == 0)
		die("%s: no layers came in", b->in.what);
	if (n > LAYERS_MAX)
		die("%zu layers; no engine runs an image of more than %d", n, LAYERS_MAX);
	if (n > LAYERS_WARN)
		warn("%zu layers; Docker loads no image of more than %d", n, LAYERS_WARN);
}

/* The layers, of the base image and of the input. */
static void copy_layers(struct build *b, const struct options *o,
			const struct image *base, const char *created)
{
	struct err why;

	if (o->base.from != NULL && writer_copy(&b->writer, base, &why) < 0)
		die("%s", why.text);
	if (layerinput_read(&b->in, &b->writer, created, o->layers, o->n_layers, &why) <
	    0)
		die("%s", why.text);
	progress_end();
	if (o->base.from != NULL && b->in.base != NULL)
		die("%s: holds an image, and so does --from %s; one of them is too many",
		    io_name(o->layers[0]), o->base.from);
	b->base = o->base.from != NULL ? base->config : b->in.base;
}

static void build_image(const struct options *o, const struct image *base)
{
	struct build b = {
	    .writer = {.fd = 1, .verify = o->verify, .is_oci = o->is_oci},
	};
	char created[TIMESTAMP_TEXT];
	struct err why;

	if (writer_limit(&b.writer, o->only, &why) < 0)
		die("%s", why.text);
	timestamp_format(o->created, created);
	json_t *config = read_config(o), *own = read_annotations(o);
	io_pipe_grow(1);
	copy_layers(&b, o, base, created);
	check_count(&b);
	json_t *image = image_config(&b, o, created, config);
	json_t *annotations = annotations_of_image(own, image);
	writer_image(&b.writer, image, NULL, o->name, o->tag, annotations);
	writer_end(&b.writer);
	io_finish();
	json_decref(annotations);
	json_decref(image);
	json_decref(own);
	json_decref(config);
	layerinput_release(&b.in);
	writer_release(&b.writer);
}

/* Writes the image of the documents in --documents. */
static void fill(const struct options *o)
{
	struct writer w = {.fd = 1, .verify = o->verify, .is_oci = o->is_oci};
	struct err why;

	if (writer_limit(&w, o->only, &why) < 0)
		die("%s", why.text);
	io_pipe_grow(1);
	if (fill_image(&w, o->documents, &o->base, o->layers, o->n_layers, &why) < 0)
		die("%s", why.text);
	writer_end(&w);
	io_finish();
	writer_release(&w);
}

static void enter_sandbox(const struct options *o)
{
	struct sandbox s = {0};

	sandbox_read(&s, o->base.from);
	sandbox_read(&s, o->config);
	sandbox_read(&s, o->annotations);
	sandbox_read(&s, o->documents);
	sandbox_read(&s, o->only);
	for (size_t i = 0; i < o->n_layers; i++)
		sandbox_read(&s, o->layers[i]);
	sandbox_enter(&s);
}

int main(int argc, char **argv)
{
	struct options o;
	struct image base = {0};
	struct err why;

	err_init("dt-manifest");
	io_init();
	parse_args(&o, argc, argv);
	io_begin(opt_output(), IO_BINARY);
	enter_sandbox(&o);
	if (o.documents != NULL) {
		fill(&o);
		return 0;
	}
	if (o.base.from != NULL && image_open(&base, &o.base, &why) < 0)
		die("%s", why.text);
	build_image(&o, &base);
	image_release(&base);
	free(o.name);
	return 0;
}
