/*
 * dt-push: send an image to a registry, but only what the registry lacks.
 *
 * stdin: an image archive, dt-image(5); stdout: digests, and how much was sent.
 */
#include "base/buf.h"
#include "base/cache.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/opt.h"
#include "base/sandbox.h"
#include "base/secret.h"
#include "image/image.h"
#include "image/reference.h"
#include "registry/attach.h"
#include "registry/push.h"
#include "registry/registry.h"

#include <ctype.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
	struct reference ref;
	struct image_choice choice;
	const char *tag; /* of `ref` */
	struct registry_options registry, other_registry;
	struct reference other; /* of --mount-from */
	const char *mount_from, *attach, *type, *level_text;
	enum compress_format format;
	int level; /* 0: the default of the format */
	size_t jobs;
	bool check, missing, no_cache;
};

enum {
	OPT_ATTACH = 1,
	OPT_CHECK,
	OPT_COMPRESS,
	OPT_JOBS,
	OPT_LEVEL,
	OPT_MISSING,
	OPT_MOUNT_FROM,
	OPT_NO_CACHE,
	OPT_TYPE
};

static const struct opt option_table[] = {
    {OPT_COMPRESS, "compress", "NAME", "compress layers by gz or zstd (gz)"},
    COMPRESS_OPTION_LEVEL(OPT_LEVEL),
    {OPT_MOUNT_FROM, "mount-from", "REPO",
     "take layers from this repository of the same registry"},
    {OPT_MISSING, "missing", NULL,
     "print the diff_ids of the layers to send, and send nothing"},
    {OPT_CHECK, "check", NULL, "also check the blobs of the image that has the tag"},
    {OPT_ATTACH, "attach", "FILE", "store this file as a document about the image NAME"},
    {OPT_TYPE, "type", "TYPE", "media type of the file of --attach"},
    IMAGE_OPTIONS_NAME,
    {IMAGE_OPT_ARCH, "arch", "ARCH",
     "choose the image for this architecture (all of an index)"},
    {IMAGE_OPT_OS, "os", "OS", "choose the image for this operating system (all)"},
    REGISTRY_OPTION_TLS_VERIFY,
    {OPT_JOBS, "jobs", "N", "number of layers to send at once (4)"},
    REGISTRY_OPTIONS_FAILURE,
    {OPT_NO_CACHE, "no-cache", NULL, "do not use the cache"},
    OPT_VERBOSE,
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... NAME[:TAG] <IMAGE",
    .purpose = "Sends an image to a registry, but only the layers that the registry "
	       "lacks.\nPrints digests, and how many bytes were sent.",
    .options = option_table,
};

static enum compress_format parse_format(const char *name)
{
	enum compress_format format = compress_named(name);

	if (format == COMPRESS_GZIP || format == COMPRESS_ZSTD)
		return format;
	die_usage("--compress takes gz or zstd, not '%s'", name);
}

/* RFC 6838, 4.2: TYPE/SUBTYPE. */
static bool is_media_type(const char *s)
{
	const char *slash = strchr(s, '/');

	if (slash == NULL || slash == s || slash[1] == '\0' || strlen(s) > 127)
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && s != slash &&
		    strchr("!#$&-^_.+", *s) == NULL)
			return false;
	return true;
}

static void set_option(struct options *o, int key)
{
	switch (key) {
	case OPT_ATTACH:
		o->attach = optarg;
		break;
	case OPT_CHECK:
		o->check = true;
		break;
	case OPT_COMPRESS:
		o->format = parse_format(optarg);
		break;
	case OPT_JOBS:
		o->jobs = num_option("jobs", optarg, 1, REGISTRY_JOBS_MAX);
		break;
	case OPT_LEVEL:
		o->level_text = optarg;
		break;
	case OPT_MISSING:
		o->missing = true;
		break;
	case OPT_MOUNT_FROM:
		o->mount_from = optarg;
		break;
	case OPT_NO_CACHE:
		o->no_cache = true;
		break;
	case OPT_TYPE:
		if (!is_media_type(optarg))
			die_usage("--type: '%s' is not a media type", optarg);
		o->type = optarg;
		break;
	default:
		if (!registry_option(&o->registry, key, optarg))
			image_choice_option(&o->choice, key, optarg);
	}
}

/*
 * Sets the other repository. It is in the registry of the image, whose host may be in
 * front of its name.
 */
static void set_mount(struct options *o)
{
	size_t len = strlen(o->ref.host);
	const char *path = o->mount_from;
	struct buf full = {0};
	struct err why;

	if (strncmp(path, o->ref.host, len) == 0 && path[len] == '/')
		path += len + 1;
	if (strcmp(o->ref.host, "docker.io") == 0)
		reference_full_name(path, &full); /* "hello" is "library/hello" */
	else
		buf_addf(&full, "%s/%s", o->ref.host, path);
	if (reference_parse(&o->other, full.data, &why) < 0)
		die_usage("--mount-from: %s", why.text);
	if (o->other.tag != NULL || o->other.digest[0] != '\0')
		die_usage("--mount-from takes a repository without a tag, not '%s'",
			  o->mount_from);
	buf_release(&full);
	o->registry.other = o->other.path;
}

static void check_args(struct options *o, const char *operand)
{
	struct err why;

	if (reference_parse(&o->ref, operand, &why) < 0)
		die_usage("%s", why.text);
	if (o->ref.digest[0] != '\0' && o->attach == NULL)
		die_usage("'%s' has a digest; an image is pushed to a tag", operand);
	if ((o->attach == NULL) != (o->type == NULL))
		die_usage("--attach and --type go together");
	o->level = compress_level(o->format, o->level_text);
	if (o->attach != NULL && (o->missing || o->check || o->mount_from != NULL ||
				  !image_choice_is_empty(&o->choice)))
		die_usage("--attach takes no image, and no options for one");
	o->tag = o->ref.tag != NULL ? o->ref.tag : "latest";
	if (o->mount_from != NULL)
		set_mount(o);
	o->registry.push = !o->missing;
	o->other_registry = o->registry;
	o->other_registry.push = false;
	o->other_registry.other = NULL;
}

static void parse_args(struct options *o, int argc, char **argv)
{
	*o = (struct options){
	    .format = COMPRESS_GZIP,
	    .jobs = REGISTRY_JOBS,
	};
	registry_options_init(&o->registry);
	image_choice_init(&o->choice);
	o->choice.from = "-";
	o->choice.may_lack = true;
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;)
		set_option(o, key);
	if (optind == argc)
		die_usage("NAME is missing");
	if (optind + 1 < argc)
		die_usage("unexpected operand '%s'", argv[optind + 1]);
	check_args(o, argv[optind]);
}

/* Exits with a message that names the image. */
static __attribute__((noreturn)) void fail(void *arg, const struct err *why)
{
	const struct options *o = arg;

	die("%s: %s", o->ref.name, why->text);
}

static void print_result(const struct push *p, struct buf *out)
{
	const struct parts *parts = &p->parts;

	if (parts->is_index)
		buf_addf(out, "index sha256:%s\n", parts->index_hex);
	for (size_t i = 0; i < parts->n; i++)
		buf_addf(out, "manifest sha256:%s\nconfig sha256:%s\n",
			 parts->part[i].hex, parts->blob[parts->part[i].config].hex);
	buf_addf(out, "sent %" PRIu64 "\nreused %" PRIu64 "\n", p->sent, p->reused);
}

/* Sends the image, or lists what would be sent. */
static void push(struct options *o, struct registry *registry, const struct cache *cache,
		 struct buf *out)
{
	struct registry *other =
	    o->mount_from != NULL ? registry_new(&o->other, &o->other_registry) : NULL;
	const struct push_options options = {
	    .registry = registry,
	    .other = other,
	    .other_path = o->other.path,
	    .cache = cache,
	    .patience = o->registry.timeout,
	    .tag = o->tag,
	    .format = o->format,
	    .level = o->level,
	    .jobs = o->jobs,
	    .check = o->check,
	    .read_only = o->missing,
	    .fail = fail,
	    .arg = o,
	};
	struct push p;
	struct err why;

	if (push_open(&p, &options, &o->choice, &why) < 0)
		die("%s", why.text);
	if (push_plan(&p, &why) < 0)
		fail(o, &why);
	if (o->missing) {
		push_missing(&p, out);
	} else {
		if (push_send(&p, &why) < 0)
			fail(o, &why);
		print_result(&p, out);
	}
	push_release(&p);
	registry_release(other);
}

static void attach_file(struct options *o, struct registry *registry, struct buf *out)
{
	const struct upload u = {.registry = registry};
	const char *slash = strrchr(o->attach, '/');
	char digest[DIGEST_REFERENCE];
	struct attach_result r;
	struct err why;
	int fd = open(o->attach, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die_errno("%s", o->attach);
	digest_reference(o->ref.digest, digest);
	if (attach_document(&u, o->ref.digest[0] != '\0' ? digest : o->tag, fd,
			    slash != NULL ? slash + 1 : o->attach, o->type, &r, &why) < 0)
		fail(o, &why);
	close(fd);
	buf_addf(out, "manifest sha256:%s\nsent %" PRIu64 "\nreused %" PRIu64 "\n", r.hex,
		 r.sent, r.reused);
}

int main(int argc, char **argv)
{
	struct options o;
	struct sandbox sandbox = {0};
	struct cache cache;
	struct buf text = {0};

	err_init("dt-push");
	io_init();
	secret_forbid_core();
	json_wipe_freed(); /* a JSON document may contain credentials */
	parse_args(&o, argc, argv);
	io_begin(opt_output(), IO_TEXT);
	cache_init(&cache, !o.no_cache && o.attach == NULL);
	sandbox.cache = cache.dir;
	sandbox_read(&sandbox, o.attach);
	registry_sandbox(&sandbox, &o.ref, &o.registry);
	sandbox_enter(&sandbox);
	struct registry *registry = registry_new(&o.ref, &o.registry);
	if (o.attach != NULL)
		attach_file(&o, registry, &text);
	else
		push(&o, registry, &cache, &text);
	io_finish_text(&text);
	registry_release(registry);
	cache_release(&cache);
	reference_release(&o.ref);
	reference_release(&o.other);
	buf_release(&text);
	return 0;
}
