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
#include "base/digest.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/opt.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/sandbox.h"
#include "base/secret.h"
#include "base/strset.h"
#include "image/annotations.h"
#include "image/image.h"
#include "image/manifest.h"
#include "image/platform.h"
#include "image/reference.h"
#include "image/writer.h"
#include "registry/dockerarchive.h"
#include "registry/fetch.h"
#include "registry/registry.h"

#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	LAYERS_MAX = 500, /* each layer is an open file */
};

enum archive_format { DOCKER_ARCHIVE, IMAGE_ARCHIVE };
enum answer { ARCHIVE, PRINT_DIGEST, PRINT_HASH };

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
     "print only the digest of NAME:TAG, or the hash for --sha256"},
    REGISTRY_OPTION_TLS_VERIFY,
    {OPT_MIRROR, "mirror", "HOST",
     "try this host first for images of Docker Hub (DT_MIRROR)"},
    {OPT_JOBS, "jobs", "N", "number of layers to download at once (4)"},
    REGISTRY_OPTIONS_FAILURE,
    {OPT_NO_CACHE, "no-cache", NULL, "do not use the cache of blobs"},
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... NAME@DIGEST >IMAGE",
    .purpose = "Downloads an image, verifies all of it, and writes it as one archive.",
    .options = option_table,
};

/* The index of the word that `value` is. Exits with status 2 if it is none of them. */
static int choose(const char *option, const char *value, const char *const words[2])
{
	for (int i = 0; i < 2; i++)
		if (strcmp(value, words[i]) == 0)
			return i;
	die_usage("--%s takes %s or %s, not '%s'", option, words[0], words[1], value);
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
	static const char *const formats[] = {"docker-archive", "dt"};
	static const char *const answers[] = {"digest", "hash"};
	struct err why;

	switch (key) {
	case OPT_ARCH:
		platform_arch_option(&o->platform, optarg);
		break;
	case OPT_FORMAT:
		o->format = (enum archive_format)choose("format", optarg, formats);
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
		o->answer =
		    choose("print", optarg, answers) == 0 ? PRINT_DIGEST : PRINT_HASH;
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
	if (optind == argc)
		die_usage("NAME@DIGEST is missing");
	if (optind + 1 < argc)
		die_usage("unexpected operand '%s'", argv[optind + 1]);
	check_args(o, argv[optind]);
}

/* --- manifest and configuration --- */

/* A layer to download. The image may list it several times. */
struct layer_job {
	const struct manifest_blob *blob;
	const char *diff_id;
	size_t turn; /* position in the order of downloads */
	struct fetch_layer layer;
};

struct pull {
	const struct options *o;
	struct cache cache;
	struct fetch fetch;
	struct manifest manifest;
	struct buf config_text;
	json_t *config;
	char (*diff_id)[DIGEST_HEX + 1]; /* manifest.n of them */
	struct layer_job *job;           /* in the order of the archive */
	struct layer_job **order;        /* in the order of downloads */
	size_t n_jobs;
	/* The progress, protected by `lock`. */
	pthread_mutex_t lock;
	size_t done, reused;
	uint64_t came; /* bytes downloaded */
};

/* Exits with a message. If several threads fail, only the first prints one. */
static _Noreturn void fail(const struct pull *p, const struct err *why)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&once);
	progress_end();
	die("%s: %s", p->o->ref.name, why->text);
}

/* Reads the manifest of the image. Follows indexes to it. */
static void read_manifest(struct pull *p)
{
	char hex[DIGEST_HEX + 1], type[128];
	struct manifest_blob chosen;
	struct buf text = {0};
	struct err why;

	memcpy(hex, p->o->ref.digest, sizeof hex);
	for (int depth = 0;; depth++) {
		manifest_release(&p->manifest);
		if (fetch_document(&p->fetch, "manifests", hex, &text, type, &why) < 0 ||
		    manifest_parse(&p->manifest, text.data, text.len,
				   *type != '\0' ? type : NULL, &why) < 0)
			fail(p, &why);
		if (!p->manifest.is_index)
			break;
		if (depth == MANIFEST_NESTING)
			die("%s: indexes are nested more than %d deep", p->o->ref.name,
			    MANIFEST_NESTING);
		if (manifest_choose(&p->manifest, &p->o->platform, p->o->os, &chosen,
				    &why) < 0)
			fail(p, &why);
		memcpy(hex, chosen.hex, sizeof hex);
	}
	buf_release(&text);
	if (p->manifest.n > LAYERS_MAX)
		die("%s: %zu layers; at most %d are supported", p->o->ref.name,
		    p->manifest.n, LAYERS_MAX);
}

/* Reads the configuration and its diff_ids. */
static void read_config(struct pull *p)
{
	char type[128];
	struct err why;

	if (fetch_document(&p->fetch, "blobs", p->manifest.config.hex, &p->config_text,
			   type, &why) < 0)
		fail(p, &why);
	p->config = json_parse(p->config_text.data, p->config_text.len,
			       "the configuration", &why);
	if (p->config == NULL)
		fail(p, &why);
	int64_t n = image_diff_ids(p->config, &p->diff_id, &why);
	if (n < 0)
		fail(p, &why);
	if ((size_t)n != p->manifest.n)
		die("%s: the manifest has %zu layers, the configuration has %zu",
		    p->o->ref.name, p->manifest.n, (size_t)n);
}

/*
 * Makes a job for each distinct layer. Layers are the same if both the blob and the
 * diff_id are equal.
 */
static void list_jobs(struct pull *p)
{
	char both[2 * DIGEST_HEX + 1];
	struct strset seen = {0};

	p->job = mem_zero(p->manifest.n, sizeof *p->job);
	for (size_t i = 0; i < p->manifest.n; i++) {
		size_t before = seen.n;
		snprintf(both, sizeof both, "%s%s", p->diff_id[i],
			 p->manifest.layer[i].hex);
		strset_add(&seen, both, 2 * DIGEST_HEX);
		if (seen.n > before)
			p->job[p->n_jobs++] = (struct layer_job){
			    .blob = &p->manifest.layer[i], .diff_id = p->diff_id[i]};
	}
	strset_release(&seen);
}

static int by_size(const void *a, const void *b)
{
	const struct layer_job *x = *(struct layer_job *const *)a,
			       *y = *(struct layer_job *const *)b;

	if (x->blob->size != y->blob->size)
		return x->blob->size < y->blob->size ? 1 : -1;
	return x < y ? -1 : x > y;
}

/*
 * Orders the jobs by size, largest first, so that a large layer is not the last to
 * finish.
 */
static void order_jobs(struct pull *p)
{
	p->order = mem_zero(p->n_jobs, sizeof *p->order);
	for (size_t i = 0; i < p->n_jobs; i++)
		p->order[i] = &p->job[i];
	qsort(p->order, p->n_jobs, sizeof *p->order, by_size);
	for (size_t i = 0; i < p->n_jobs; i++)
		p->order[i]->turn = i;
}

/* --- downloads --- */

static void show(struct pull *p)
{
	progress("layers", p->done, p->n_jobs, p->came);
}

static void bytes_came(void *arg, size_t bytes)
{
	struct pull *p = arg;

	pthread_mutex_lock(&p->lock);
	p->came += bytes;
	if (p->n_jobs > 0)
		show(p);
	pthread_mutex_unlock(&p->lock);
}

static void fetch_job(void *arg, size_t i)
{
	struct pull *p = arg;
	struct layer_job *job = p->order[i];
	struct err why;

	if (fetch_layer(&p->fetch, job->blob, job->diff_id, &job->layer, &why) < 0)
		fail(p, &why);
	pthread_mutex_lock(&p->lock);
	p->done++;
	p->reused += job->layer.is_cached;
	show(p);
	pthread_mutex_unlock(&p->lock);
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
static void finish_docker_archive(const struct pull *p, struct dockerarchive *a)
{
	const struct options *o = p->o;
	char hex[DIGEST_HEX + 1], got[DIGEST_SRI], want[DIGEST_SRI];

	if (a->is_hashed) {
		dockerarchive_hex(a, hex);
		digest_sri(hex, got);
	}
	if (*o->pin != '\0' && !digest_is_same(hex, o->pin)) {
		digest_sri(o->pin, want);
		progress_end();
		die("%s: hash mismatch: specified: %s got: %s", o->ref.name, want, got);
	}
	progress_end();
	if (o->answer == PRINT_HASH) {
		print_line(got);
	} else {
		dockerarchive_end(a);
		io_finish();
	}
}

static void write_docker_archive(struct pull *p, struct pool *pool)
{
	const struct options *o = p->o;
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
	for (size_t i = 0; i < p->n_jobs; i++) {
		struct layer_job *job = &p->job[i];
		pool_wait(pool, job->turn);
		dockerarchive_layer(&a, job->diff_id, job->layer.fd, job->layer.size);
		close(job->layer.fd);
	}
	if (dockerarchive_documents(&a, &im, &why) < 0)
		fail(p, &why);
	finish_docker_archive(p, &a);
	dockerarchive_release(&a);
	buf_release(&name);
}

/* Completes the image archive. */
static void write_documents(const struct pull *p, struct writer *w)
{
	json_t *annotations = annotations_of_manifest(p->manifest.doc);

	writer_image(w, p->config, &p->config_text, p->o->name, p->o->tag, annotations);
	writer_end(w);
	json_decref(annotations);
}

static void write_image_archive(struct pull *p, struct pool *pool)
{
	struct writer w = {.fd = STDOUT_FILENO};

	for (size_t i = 0; i < p->n_jobs; i++) {
		const struct layer_job *job = &p->job[i];
		pool_wait(pool, job->turn);
		writer_file(&w, job->diff_id, job->layer.fd, job->layer.size, "");
		close(job->layer.fd);
	}
	write_documents(p, &w);
	writer_release(&w);
	progress_end();
	io_finish();
}

/* Writes the documents. The layers stay in the registry. */
static void write_thin_archive(struct pull *p)
{
	struct writer w = {.fd = STDOUT_FILENO};
	const json_t *layers = json_object_get(p->manifest.doc, "layers");
	struct err why;

	for (size_t i = 0; i < p->manifest.n; i++)
		if (writer_described(&w, p->diff_id[i], json_array_get(layers, i), &why) <
		    0)
			fail(p, &why);
	write_documents(p, &w);
	writer_release(&w);
	io_finish();
}

/* Prints the digest that NAME:TAG has now. */
static void print_digest(struct pull *p)
{
	const struct reference *ref = &p->o->ref;
	const char *tag = ref->tag != NULL ? ref->tag : "latest";
	char hex[DIGEST_HEX + 1], type[128], line[DIGEST_REFERENCE];
	struct buf text = {0};
	struct err why;

	if (fetch_tagged(&p->fetch, tag, &text, type, hex, &why) < 0 ||
	    manifest_parse(&p->manifest, text.data, text.len, type, &why) < 0)
		fail(p, &why);
	buf_release(&text);
	digest_reference(hex, line);
	print_line(line);
}

static void pull(struct pull *p)
{
	struct timespec start, end;

	clock_gettime(CLOCK_MONOTONIC, &start);
	read_manifest(p);
	read_config(p);
	if (p->o->thin) {
		write_thin_archive(p);
		return;
	}
	list_jobs(p);
	order_jobs(p);
	struct pool *pool = pool_start_wide(p->o->jobs, p->n_jobs, fetch_job, p);
	io_pipe_grow(STDOUT_FILENO);
	if (p->o->format == DOCKER_ARCHIVE)
		write_docker_archive(p, pool);
	else
		write_image_archive(p, pool);
	pool_release(pool);
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (isatty(STDERR_FILENO))
		warn("%s: %.1f MB in %.1f s, %zu of %zu layers were in the cache",
		     p->o->ref.name, (double)p->came / 1e6,
		     (double)(end.tv_sec - start.tv_sec) +
			 (double)(end.tv_nsec - start.tv_nsec) / 1e9,
		     p->reused, p->n_jobs);
}

static void release_pull(struct pull *p, struct options *o)
{
	registry_release(p->fetch.registry);
	cache_release(&p->cache);
	manifest_release(&p->manifest);
	buf_release(&p->config_text);
	json_decref(p->config);
	free(p->diff_id);
	free(p->job);
	free(p->order);
	pthread_mutex_destroy(&p->lock);
	reference_release(&o->ref);
	free(o->name);
}

int main(int argc, char **argv)
{
	struct options o;
	struct sandbox sandbox = {0};
	struct pull p = {.o = &o};

	err_init("dt-pull");
	io_init();
	secret_forbid_core();
	json_wipe_freed(); /* a JSON document may contain credentials */
	parse_args(&o, argc, argv);
	io_begin(opt_output(), o.answer == ARCHIVE ? IO_BINARY : IO_TEXT);
	pthread_mutex_init(&p.lock, NULL);
	cache_init(&p.cache, !o.no_cache);
	sandbox.cache = p.cache.dir;
	registry_sandbox(&sandbox, &o.ref, &o.registry);
	sandbox_enter(&sandbox);
	p.fetch = (struct fetch){
	    .cache = &p.cache,
	    .registry = registry_new(&o.ref, &o.registry),
	    .patience = o.registry.timeout,
	    .came = bytes_came,
	    .arg = &p,
	};
	if (o.answer == PRINT_DIGEST)
		print_digest(&p);
	else
		pull(&p);
	release_pull(&p, &o);
	return 0;
}
