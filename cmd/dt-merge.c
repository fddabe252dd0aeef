/*
 * dt-merge: all images of several archives, in one archive.
 *
 * FILE...: image archives; stdin is read if a FILE is "-". stdout: an image archive.
 * Both are dt-image(5).
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/opt.h"
#include "base/progress.h"
#include "image/image.h"
#include "image/merge.h"
#include "image/reference.h"
#include "image/writer.h"

#include <getopt.h>
#include <string.h>

struct options {
	struct image_choice choice;
	const char *name, *tag, *only;
};

enum { OPT_NAME = 1, OPT_ONLY, OPT_TAG };

static const struct opt option_table[] = {
    {OPT_NAME, "name", "NAME", "the name of the only image, with --tag"},
    {OPT_TAG, "tag", "TAG", "its tag"},
    WRITER_OPTION_ONLY(OPT_ONLY),
    IMAGE_OPTION_ARCH,
    IMAGE_OPTION_MAX_UNPACKED,
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... FILE... >IMAGES",
    .purpose = "Writes an image archive with all images of the archives FILE.",
    .options = option_table,
};

static void check_options(const struct options *o)
{
	struct err why;

	if ((o->name == NULL) != (o->tag == NULL))
		die_usage("--name and --tag go together");
	if (o->name != NULL && reference_check_name(o->name, &why) < 0)
		die_usage("--name: %s", why.text);
	if (o->tag != NULL && reference_check_tag(o->tag, &why) < 0)
		die_usage("--tag: %s", why.text);
}

static void check_operands(const struct options *o, int argc, char **argv)
{
	int from_stdin = o->only != NULL && strcmp(o->only, "-") == 0;

	if (optind == argc)
		die_usage("the archives to merge are missing");
	for (int i = optind; i < argc; i++)
		from_stdin += strcmp(argv[i], "-") == 0;
	if (from_stdin > 1)
		die_usage("standard input can be read but once");
}

/* Parses the options; the operands begin at argv[optind] then. */
static void parse_args(struct options *o, int argc, char **argv)
{
	*o = (struct options){0};
	image_choice_init(&o->choice);
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;) {
		switch (key) {
		case OPT_NAME:
			o->name = optarg;
			break;
		case OPT_ONLY:
			o->only = optarg;
			break;
		case OPT_TAG:
			o->tag = optarg;
			break;
		default:
			image_choice_option(&o->choice, key, optarg);
		}
	}
	o->choice.may_lack = o->only != NULL;
	check_options(o);
	check_operands(o, argc, argv);
}

static void merge(const struct options *o, struct writer *w, char **file, size_t n)
{
	struct buf reference = {0};
	struct err why;

	if (o->name != NULL)
		buf_addf(&reference, "%s:%s", o->name, o->tag);
	if (writer_limit(w, o->only, &why) < 0 ||
	    merge_write(w, file, n, &o->choice, reference.data, &why) < 0)
		die("%s", why.text);
	buf_release(&reference);
}

int main(int argc, char **argv)
{
	struct options o;
	struct writer writer = {.fd = 1};

	err_init("dt-merge");
	io_init();
	parse_args(&o, argc, argv);
	io_begin(opt_output(), IO_BINARY);
	io_pipe_grow(1);
	merge(&o, &writer, argv + optind, (size_t)(argc - optind));
	progress_end();
	writer_end(&writer);
	io_finish();
	writer_release(&writer);
	return 0;
}
