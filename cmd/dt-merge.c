/*
 * dt-merge: put all images of several archives into one archive, or make one image for
 * several platforms of them.
 *
 * FILE...: image archives; stdin is read if a FILE is "-". stdout: an image archive.
 * Both are dt-image(5).
 */
#include "base/err.h"
#include "base/io.h"
#include "base/opt.h"
#include "base/progress.h"
#include "image/image.h"
#include "image/merge.h"
#include "image/reference.h"
#include "image/writer.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct options {
	struct image_choice choice;
	struct merge_naming naming; /* its name is owned */
	const char *only;
};

enum { OPT_INDEX = 1, OPT_NAME, OPT_ONLY, OPT_TAG };

static const struct opt option_table[] = {
    {OPT_INDEX, "index", NULL, "make one image for several platforms"},
    {OPT_NAME, "name", "NAME", "name of the index or the only image, put in lower case"},
    {OPT_TAG, "tag", "TAG", "its tag; --name and --tag go together"},
    WRITER_OPTION_ONLY(OPT_ONLY),
    IMAGE_OPTION_ARCH,
    IMAGE_OPTION_MAX_UNPACKED,
    OPT_VERBOSE,
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... FILE... >IMAGES",
    .purpose = "Writes an image archive with all images of the archives FILE.",
    .options = option_table,
};

static void set_option(struct options *o, int key)
{
	switch (key) {
	case OPT_INDEX:
		o->naming.is_index = true;
		break;
	case OPT_NAME:
		free(o->naming.name);
		o->naming.name = reference_name_option(optarg);
		break;
	case OPT_ONLY:
		o->only = optarg;
		break;
	case OPT_TAG:
		o->naming.tag = reference_tag_option(optarg);
		break;
	default:
		image_choice_option(&o->choice, key, optarg);
	}
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

/* Parses the options. Afterwards, the operands begin at argv[optind]. */
static void parse_args(struct options *o, int argc, char **argv)
{
	*o = (struct options){0};
	image_choice_init(&o->choice);
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;)
		set_option(o, key);
	o->choice.may_lack = o->only != NULL;
	if ((o->naming.name == NULL) != (o->naming.tag == NULL))
		die_usage("--name and --tag go together");
	check_operands(o, argc, argv);
}

int main(int argc, char **argv)
{
	struct options o;
	struct writer writer = {.fd = 1};
	struct err why;

	err_init("dt-merge");
	io_init();
	parse_args(&o, argc, argv);
	io_begin(opt_output(), IO_BINARY);
	io_pipe_grow(1);
	if (writer_limit(&writer, o.only, &why) < 0 ||
	    merge_write(&writer, argv + optind, (size_t)(argc - optind), &o.choice,
			&o.naming, &why) < 0)
		die("%s", why.text);
	progress_end();
	writer_end(&writer);
	io_finish();
	writer_release(&writer);
	free(o.naming.name);
	return 0;
}
