/*
 * dt-pull: download an image from a registry and verify it.
 *
 * Operand: NAME@DIGEST. stdout: the archive that skopeo(1) writes to docker-archive:, or
 * an image archive, dt-image(5).
 *
 * Specification: OCI distribution specification, "Pull".
 */
#include "base/buf.h"
#include "base/cache.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/opt.h"
#include "base/sandbox.h"
#include "base/secret.h"
#include "image/annotations.h"
#include "image/manifest.h"
#include "image/platform.h"
#include "image/reference.h"
#include "image/writer.h"
#include "registry/credentials.h"
#include "registry/dockerarchive.h"
#include "registry/fetch.h"
#include "registry/pull.h"
#include "registry/registry.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum archive_format { DOCKER_ARCHIVE, IMAGE_ARCHIVE };
/* The answer: the archive, or what --print prints. */
enum answer { ARCHIVE, PRINT_DIGEST, PRINT_HASH, PRINT_CREDENTIALS, PRINT_CACHE };

struct options {
	struct reference ref;
	char *name; /* full name, or as in dt-image(5); owned */
	const char *tag, *os;
	struct platform platform;
	struct registry_options registry;
	char pin[DIGEST_HEX + 1]; /* "" if there is none */
	enum archive_format format;
	enum answer answer;
	size_t jobs;
	bool no_cache, thin;
};

enum {
	OPT_ARCH = 1,
	OPT_FORMAT,
	OPT_JOBS,
	OPT_MIRROR,
	OPT_NAME,
	OPT_NO_CACHE,
	OPT_OS,
	OPT_PRINT,
	OPT_SHA256,
	OPT_TAG,
	OPT_THIN
};

static const struct opt option_table[] = {
    {OPT_OS, "os", "OS", "select the image for this system (linux)"},
    {OPT_ARCH, "arch", "ARCH", "select the image for this architecture (this machine's)"},
    {OPT_NAME, "name", "NAME",
     "name of the image in the archive (its name in the registry)"},
    {OPT_TAG, "tag", "TAG", "tag of the image in the archive (latest)"},
    {OPT_SHA256, "sha256", "HASH",
     "fail unless the archive has this hash; '' to show its hash"},
    {OPT_FORMAT, "format", "FORMAT", "docker-archive (as skopeo writes it) or dt"},
    {OPT_THIN, "thin", NULL, "write a thin archive, without any layer, for --from"},
    {OPT_PRINT, "print", "WHAT",
     "print only the digest, hash, credentials or cache (dt-pull(1))"},
    REGISTRY_OPTION_TLS_VERIFY,
    {OPT_MIRROR, "mirror", "HOST",
     "try this host first for images of Docker Hub (DT_MIRROR)"},
    {OPT_JOBS, "jobs", "N", "number of layers to download at once (4)"},
    REGISTRY_OPTIONS_FAILURE,
    {OPT_NO_CACHE, "no-cache", NULL, "do not use the cache of blobs"},
    OPT_VERBOSE,
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... NAME@DIGEST >IMAGE",
    .purpose = "Downloads an image, verifies all of it, and writes it as one archive.",
    .options = option_table,
};

static enum archive_format format_option(const char *value)
{
	if (strcmp(value, "docker-archive") == 0)
		return DOCKER_ARCHIVE;
	if (strcmp(value, "dt") == 0)
		return IMAGE_ARCHIVE;
	die_usage("--format takes docker-archive or dt, not '%s'", value);
}

/* Whether it depends only on the user's files and variables. */
static bool is_setting(enum answer a)
{
	return a == PRINT_CREDENTIALS || a == PRINT_CACHE;
}

static enum answer print_option(const char *value)
{
	static const char *const words[] = {
	    [PRINT_DIGEST] = "digest",
	    [PRINT_HASH] = "hash",
	    [PRINT_CREDENTIALS] = "credentials",
	    [PRINT_CACHE] = "cache",
	};

	for (int i = PRINT_DIGEST; i <= PRINT_CACHE; i++)
		if (strcmp(value, words[i]) == 0)
			return (enum answer)i;
	die_usage("--print takes digest, hash, credentials or cache, not '%s'", value);
}

/*
 * Sets the mirror, HOST[:PORT][/PATH]. The message does not repeat the value, which may
 * contain a password.
 */
static void set_mirror(struct options *o, const char *mirror)
{
	if (strchr(mirror, '@') != NULL || strstr(mirror, "://") != NULL)
		die_usage("a mirror is HOST[:PORT][/PATH], without a scheme or user");
	o->registry.mirror = mirror;
}

static void set_option(struct options *o, int key)
{
	struct err why;

	switch (key) {
	case OPT_ARCH:
		platform_arch_option(&o->platform, optarg);
		break;
	case OPT_FORMAT:
		o->format = format_option(optarg);
		break;
	case OPT_JOBS:
		o->jobs = num_option("jobs", optarg, 1, REGISTRY_JOBS_MAX);
		break;
	case OPT_MIRROR:
		set_mirror(o, optarg);
		break;
	case OPT_NAME:
		free(o->name);
		o->name = mem_strdup(optarg);
		if (reference_check_name(o->name, &why) < 0)
			die_usage("--name: %s", why.text);
		break;
	case OPT_NO_CACHE:
		o->no_cache = true;
		break;
	case OPT_OS:
		o->os = platform_os_option(optarg);
		break;
	case OPT_PRINT:
		o->answer = print_option(optarg);
		break;
	case OPT_SHA256:
		if (digest_pin(optarg, o->pin) < 0)
			die_usage("--sha256: '%s' is not a SHA-256 in hex, base 32 or "
				  "base 64",
				  optarg);
		break;
	case OPT_TAG:
		o->tag = reference_tag_option(optarg);
		break;
	case OPT_THIN:
		o->thin = true;
		break;
	default:
		registry_option(&o->registry, key, optarg);
	}
}

static void check_args(struct options *o, const char *operand)
{
	struct err why;

	if (reference_parse(&o->ref, operand, &why) < 0)
		die_usage("%s", why.text);
	if (o->ref.digest[0] == '\0' && o->answer != PRINT_DIGEST)
		die_usage("'%s' has no digest, NAME@sha256:HEX", operand);
	if (o->ref.digest[0] != '\0' && o->answer == PRINT_DIGEST)
		die_usage("'%s' has a digest already", operand);
	if (o->format != DOCKER_ARCHIVE && (o->answer != ARCHIVE || o->pin[0] != '\0'))
		die_usage("--sha256 and --print go with --format docker-archive");
	if (o->thin && (o->answer != ARCHIVE || o->pin[0] != '\0'))
		die_usage("--thin does not go with --sha256 and --print");
	if (o->name == NULL)
		o->name = mem_strndup(operand, strcspn(operand, "@"));
}

static void parse_args(struct options *o, int argc, char **argv)
{
	const char *mirror = getenv("DT_MIRROR");

	*o = (struct options){
	    .os = "linux",
	    .tag = "latest",
	    .jobs = REGISTRY_JOBS,
	};
	platform_host(&o->platform);
	registry_options_init(&o->registry);
	if (mirror != NULL && *mirror != '\0')
		set_mirror(o, mirror);
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;)
		set_option(o, key);
	bool has_operand = !is_setting(o->answer);
	if (optind == argc && has_operand)
		die_usage("NAME@DIGEST is missing");
	if (optind + has_operand < argc)
		die_usage("unexpected operand '%s'", argv[optind + has_operand]);
	if (has_operand)
		check_args(o, argv[optind]);
}

/* Exits with a message. */
static __attribute__((noreturn)) void fail(void *arg, const struct err *why)
{
	const struct options *o = arg;

	die("%s: %s", o->ref.name, why->text);
}

/* --- archives --- */

static void print_line(const char *line)
{
	struct buf text = {0};

	buf_addf(&text, "%s\n", line);
	io_finish_text(&text);
	buf_release(&text);
}

/* Completes the archive, unless its hash differs from --sha256. */
static void finish_docker_archive(const struct options *o, struct dockerarchive *a)
{
	char hex[DIGEST_HEX + 1], got[DIGEST_SRI], want[DIGEST_SRI];

	if (a->is_hashed) {
		dockerarchive_hex(a, hex);
		digest_sri(hex, got);
	}
	if (*o->pin != '\0' && !digest_is_same(hex, o->pin)) {
		digest_sri(o->pin, want);
		die("%s: hash mismatch: specified: %s got: %s", o->ref.name, want, got);
	}
	if (o->answer == PRINT_HASH) {
		print_line(got);
	} else {
		dockerarchive_end(a);
		io_finish();
	}
}

static int take(void *arg, const void *data, size_t len, struct err *e)
{
	(void)e;
	dockerarchive_data(arg, data, len);
	return 0;
}

static void write_layer(struct options *o, const struct pull *p, struct dockerarchive *a,
			const struct pull_layer *layer)
{
	const struct fetch_layer *file = &layer->file;
	struct err why;

	if (!file->is_packed) {
		dockerarchive_layer(a, layer->diff_id, file->fd, file->offset,
				    file->size);
	} else if (dockerarchive_begin(a, layer->diff_id, file->size)) {
		if (fetch_unpack(&p->fetch, layer->blob, file, take, a, &why) < 0)
			fail(o, &why);
		dockerarchive_pad(a, file->size);
	} else {
		close(file->fd);
	}
}

static void write_docker_archive(struct options *o, struct pull *p)
{
	bool is_hash = o->answer == PRINT_HASH;
	struct dockerarchive a;
	struct buf name = {0};
	struct err why;

	reference_full_name(o->name, &name);
	const struct dockerarchive_image im = {
	    .config = &p->config_text,
	    .diff_id = (const char(*)[DIGEST_HEX + 1]) p->diff_id,
	    .n = p->manifest.n,
	    .name = name.data,
	    .tag = o->tag,
	};
	dockerarchive_init(&a, is_hash ? -1 : STDOUT_FILENO, is_hash || *o->pin != '\0');
	for (size_t i = 0; i < p->n_layers; i++)
		write_layer(o, p, &a, pull_take(p, i));
	pull_end(p);
	if (dockerarchive_documents(&a, &im, &why) < 0)
		fail(o, &why);
	finish_docker_archive(o, &a);
	dockerarchive_release(&a);
	buf_release(&name);
}

/* Completes the image archive. */
static void write_documents(const struct options *o, const struct pull *p,
			    struct writer *w)
{
	json_t *annotations = annotations_of_manifest(p->manifest.doc);

	writer_image(w, p->config, &p->config_text, o->name, o->tag, annotations);
	writer_end(w);
	json_decref(annotations);
}

static void write_image_archive(const struct options *o, struct pull *p)
{
	struct writer w = {.fd = STDOUT_FILENO};

	for (size_t i = 0; i < p->n_layers; i++) {
		const struct pull_layer *layer = pull_wait(p, i);
		const struct fetch_layer *file = &layer->file;
		writer_file(&w, layer->diff_id, file->fd, file->offset, file->size, "");
	}
	pull_end(p);
	write_documents(o, p, &w);
	writer_release(&w);
	io_finish();
}

/* Writes the documents. The layers stay in the registry. */
static void write_thin_archive(struct options *o, const struct pull *p)
{
	struct writer w = {.fd = STDOUT_FILENO};
	const json_t *layers = json_object_get(p->manifest.doc, "layers");
	struct err why;

	for (size_t i = 0; i < p->manifest.n; i++)
		if (writer_described(&w, p->diff_id[i], json_array_get(layers, i), &why) <
		    0)
			fail(o, &why);
	write_documents(o, p, &w);
	writer_release(&w);
	io_finish();
}

/* --- answers --- */

/* Prints the digest that NAME:TAG has now. */
static void print_digest(struct options *o, struct registry *registry)
{
	const char *tag = o->ref.tag != NULL ? o->ref.tag : "latest";
	const struct fetch f = {.registry = registry};
	char hex[DIGEST_HEX + 1], type[128], line[DIGEST_REFERENCE];
	struct manifest manifest;
	struct buf text = {0};
	struct err why;

	if (fetch_tagged(&f, tag, &text, type, hex, &why) < 0 ||
	    manifest_parse(&manifest, text.data, text.len, type, &why) < 0)
		fail(o, &why);
	manifest_release(&manifest);
	buf_release(&text);
	digest_reference(hex, line);
	print_line(line);
}

static void print_setting(const struct options *o, const struct cache *cache)
{
	struct buf text = {0};
	struct err why;

	if (o->answer == PRINT_CREDENTIALS) {
		if (credentials_list(&text, &why) < 0)
			die("%s", why.text);
	} else {
		if (cache->dir == NULL)
			die("there is no directory for the cache: set DT_CACHE");
		buf_addf(&text, "%s\n", cache->dir);
	}
	io_finish_text(&text);
	buf_release(&text);
}

/* Downloads the layers and writes the archive. */
static void write_layers(struct options *o, struct pull *p)
{
	double begun = clock_now();

	pull_start(p);
	io_pipe_grow(STDOUT_FILENO);
	if (o->format == DOCKER_ARCHIVE)
		write_docker_archive(o, p);
	else
		write_image_archive(o, p);
	if (isatty(STDERR_FILENO))
		warn("%s: %.1f MB in %.1f s, %zu of %zu layers were in the cache",
		     o->ref.name, (double)p->came / 1e6, clock_now() - begun, p->reused,
		     p->n_layers);
}

static void pull(struct options *o, struct registry *registry, const struct cache *cache)
{
	const struct pull_options options = {
	    .registry = registry,
	    .cache = cache,
	    .patience = o->registry.timeout,
	    .digest = o->ref.digest,
	    .platform = o->platform,
	    .os = o->os,
	    .jobs = o->jobs,
	    .fail = fail,
	    .arg = o,
	};
	struct pull p;
	struct err why;

	if (pull_open(&p, &options, &why) < 0)
		fail(o, &why);
	if (o->thin)
		write_thin_archive(o, &p);
	else
		write_layers(o, &p);
	pull_release(&p);
}

static void ask_registry(struct options *o, const struct cache *cache)
{
	struct sandbox sandbox = {.cache = cache->dir};

	registry_sandbox(&sandbox, &o->ref, &o->registry);
	sandbox_enter(&sandbox);
	struct registry *registry = registry_new(&o->ref, &o->registry);
	if (o->answer == PRINT_DIGEST)
		print_digest(o, registry);
	else
		pull(o, registry, cache);
	registry_release(registry);
}

int main(int argc, char **argv)
{
	struct options o;
	struct cache cache;

	err_init("dt-pull");
	io_init();
	secret_forbid_core();
	json_wipe_freed(); /* a JSON document may contain credentials */
	parse_args(&o, argc, argv);
	io_begin(opt_output(), o.answer == ARCHIVE ? IO_BINARY : IO_TEXT);
	cache_init(&cache, !o.no_cache || o.answer == PRINT_CACHE);
	if (is_setting(o.answer))
		print_setting(&o, &cache);
	else
		ask_registry(&o, &cache);
	cache_release(&cache);
	reference_release(&o.ref);
	free(o.name);
	return 0;
}
