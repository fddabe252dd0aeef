/*
 * dt-merge: all images of several archives, in one archive.
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
#include "image/writer.h"

#include <getopt.h>
#include <string.h>

static const struct opt option_table[] = {
    IMAGE_OPTION_ARCH,
    IMAGE_OPTION_MAX_UNPACKED,
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... FILE... >IMAGES",
    .purpose = "Writes an image archive with all images of the archives FILE.",
    .options = option_table,
};

/* Parses the options; the operands begin at argv[optind] then. */
static void parse_args(struct image_choice *choice, int argc, char **argv)
{
	int from_stdin = 0;

	image_choice_init(choice);
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;)
		image_choice_option(choice, key, optarg);
	if (optind == argc)
		die_usage("the archives to merge are missing");
	for (int i = optind; i < argc; i++)
		from_stdin += strcmp(argv[i], "-") == 0;
	if (from_stdin > 1)
		die_usage("standard input can be read but once");
}

int main(int argc, char **argv)
{
	struct image_choice choice;
	struct writer writer = {.fd = 1};
	struct err why;

	err_init("dt-merge");
	io_init();
	parse_args(&choice, argc, argv);
	io_begin(opt_output(), IO_BINARY);
	io_pipe_grow(1);
	if (merge_write(&writer, argv + optind, (size_t)(argc - optind), &choice, &why) <
	    0)
		die("%s", why.text);
	progress_end();
	writer_end(&writer);
	io_finish();
	writer_release(&writer);
	return 0;
}
