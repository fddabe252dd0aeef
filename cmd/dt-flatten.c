/*
 * dt-flatten: write the file tree of an image as one tar.
 *
 * stdin or FILE: an image archive. stdout: a rootfs tar. dt-image(5) describes both.
 */
#include "archive/tar.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/sandbox.h"
#include "image/flat.h"
#include "tree/sink.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>

struct options {
	struct image_choice choice;
	char **path; /* subtrees to write; if there are none, the complete tree */
	size_t n_paths;
	bool list, no_verify;
};

enum { OPT_LIST = 1, OPT_NO_VERIFY };

static const struct opt option_table[] = {
    IMAGE_OPTIONS,
    {OPT_LIST, "list", NULL, "print an mtree specification instead"},
    {OPT_NO_VERIFY, "no-verify", NULL, "do not compare layers with their digests"},
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... [FILE [PATH]...] >ROOTFS",
    .purpose = "Reads an image archive and writes the tar of its merged layers, or of "
	       "each PATH.",
    .options = option_table,
};

static void parse_args(struct options *o, int argc, char **argv)
{
	*o = (struct options){0};
	image_choice_init(&o->choice);
	o->choice.from = "-";
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;) {
		switch (key) {
		case OPT_LIST:
			o->list = true;
			break;
		case OPT_NO_VERIFY:
			o->no_verify = true;
			break;
		default:
			image_choice_option(&o->choice, key, optarg);
		}
	}
	if (optind < argc)
		o->choice.from = argv[optind++];
	o->path = argv + optind;
	o->n_paths = (size_t)(argc - optind);
}

/* The selected nodes, as an array by node, or NULL for all nodes. */
static bool *select_nodes(const struct rootfs *r, const struct options *o)
{
	if (o->n_paths == 0)
		return NULL;
	bool *wanted = mem_zero(r->n, sizeof *wanted);
	for (size_t i = 0; i < o->n_paths; i++) {
		uint32_t node = rootfs_find(r, o->path[i]);
		if (node == ROOTFS_NONE)
			die("%s: not in the image", o->path[i]);
		wanted[node] = true;
	}
	for (uint32_t i = rootfs_next(r, 0); i != ROOTFS_NONE; i = rootfs_next(r, i))
		if (wanted[r->node[i].parent])
			wanted[i] = true;
	return wanted;
}

/* Returns a temporary file with the list. */
static int write_list(struct rootfs *r, const bool *wanted)
{
	int fd = io_tmpfile();
	struct err why;

	if (fd < 0)
		die_errno("cannot create a temporary file");
	if (rootfs_list(r, wanted, fd, &why) < 0)
		die("%s", why.text);
	return fd;
}

static void write_tar(const struct rootfs *r, const bool *wanted, struct sink *s)
{
	io_pipe_grow(1);
	sink_init(s, 1);
	rootfs_write(r, wanted, s);
}

static void end_tar(struct sink *s)
{
	sink_zeroes(s, tar_end(s->total, TAR_RECORD));
	sink_end(s);
	io_finish();
	sink_release(s);
}

int main(int argc, char **argv)
{
	struct options o;
	struct flat image;
	struct rootfs *r = &image.rootfs;
	struct sandbox sandbox = {0};
	struct sink sink;
	struct err why;
	int list = -1;

	err_init("dt-flatten");
	io_init();
	parse_args(&o, argc, argv);
	io_begin(opt_output(), o.list ? IO_TEXT : IO_BINARY);
	sandbox_read(&sandbox, o.choice.from);
	sandbox_enter(&sandbox);
	if (flat_open(&image, &o.choice, !o.no_verify, &why) < 0)
		die("%s", why.text);
	rootfs_sort(r);
	bool *wanted = select_nodes(r, &o);

	if (o.list)
		list = write_list(r, wanted);
	else
		write_tar(r, wanted, &sink);
	if (flat_check(&image, &why) < 0)
		die("%s", why.text);
	if (o.list)
		io_finish_file(list);
	else
		end_tar(&sink);

	free(wanted);
	flat_release(&image);
	return 0;
}
