/*
 * dt-flatten: the file tree of an image, all layers merged.
 *
 * stdin or FILE: an image archive; stdout: a rootfs tar; both dt-image(5).
 */
#include "buf.h"
#include "err.h"
#include "image.h"
#include "io.h"
#include "mem.h"
#include "opt.h"
#include "platform.h"
#include "progress.h"
#include "rootfs.h"
#include "sink.h"
#include "tar.h"
#include "unpack.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct options {
	const char *file, *from_name, *from_tag;
	struct platform platform;
	char **path; /* sub-trees; none of them: all */
	size_t n_paths;
	bool list, no_verify;
};

enum { OPT_ARCH = 1, OPT_FROM_NAME, OPT_FROM_TAG, OPT_LIST, OPT_NO_VERIFY };

static const struct opt option_table[] = {
    {OPT_FROM_NAME, "from-name", "NAME", "of the images in it, the one of this name"},
    {OPT_FROM_TAG, "from-tag", "TAG", "of the images in it, the one of this tag"},
    {OPT_ARCH, "arch", "ARCH", "of its platforms, this one (this machine's)"},
    {OPT_LIST, "list", NULL, "print an mtree specification instead"},
    {OPT_NO_VERIFY, "no-verify", NULL, "do not compare layers with their digests"},
    {0},
};

static const struct opt_tool tool = {
    "[OPTION]... [FILE [PATH]...] >ROOTFS",
    "Reads an image archive and writes the tar of its merged layers, or of each PATH.",
    option_table,
};

static void parse_args(struct options *o, int argc, char **argv)
{
	*o = (struct options){.file = "-"};
	platform_host(&o->platform);
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;) {
		switch (key) {
		case OPT_ARCH:
			if (platform_parse(&o->platform, optarg) < 0)
				die_usage("--arch: '%s' is no architecture", optarg);
			break;
		case OPT_FROM_NAME:
			o->from_name = optarg;
			break;
		case OPT_FROM_TAG:
			o->from_tag = optarg;
			break;
		case OPT_LIST:
			o->list = true;
			break;
		case OPT_NO_VERIFY:
			o->no_verify = true;
			break;
		}
	}
	if (optind < argc)
		o->file = argv[optind++];
	o->path = argv + optind;
	o->n_paths = (size_t)(argc - optind);
}

/* Which nodes are wanted, by their numbers. */
static bool *select_nodes(const struct rootfs *r, const struct options *o)
{
	bool *wanted = mem_zero(r->n, sizeof *wanted);

	wanted[0] = o->n_paths == 0;
	for (size_t i = 0; i < o->n_paths; i++) {
		uint32_t node = rootfs_find(r, o->path[i]);
		if (node == ROOTFS_NONE)
			die("%s: not in the image", o->path[i]);
		wanted[node] = true;
	}
	for (size_t i = 1; i < r->n_order; i++) {
		uint32_t node = r->order[i];
		if (wanted[r->node[node].parent])
			wanted[node] = true;
	}
	return wanted;
}

/* --- the tar --- */

/* What the members of one tar share. */
struct output {
	const struct rootfs *rootfs;
	struct sink sink;
	uint32_t *first; /* by inode: the node that brought its contents, or 0 */
	struct buf name, link;
};

/* The member of a node; `link` is the name it is a hard link to, or NULL. */
static void put_header(struct output *out, const struct rootfs_inode *inode,
		       const char *link)
{
	const struct rootfs *r = out->rootfs;
	struct buf xattrs = {r->text.data + inode->xattrs, inode->xattrs_len, 0};
	struct tar_member m = {
	    .name = out->name.data,
	    .type = link != NULL ? TAR_HARDLINK : tar_type(inode->mode),
	    .link = link,
	    .mode = inode->mode,
	    .uid = inode->uid,
	    .gid = inode->gid,
	    .size = inode->size,
	    .mtime = inode->mtime,
	    .nsec = inode->nsec,
	    .major = inode->major,
	    .minor = inode->minor,
	    .records = &xattrs, /* of a link too: some readers give it an owner, which
				   costs a file its capabilities */
	};

	if (m.type == TAR_SYMLINK)
		m.link = r->text.data + inode->link;
	sink_header(&out->sink, &m);
}

static void put_node(struct output *out, uint32_t node)
{
	const struct rootfs *r = out->rootfs;
	const struct rootfs_inode *inode = rootfs_inode(r, node);
	uint32_t *first = &out->first[r->node[node].inode];

	buf_clear(&out->name);
	rootfs_path(r, node, &out->name);
	if (*first != 0) {
		buf_clear(&out->link);
		rootfs_path(r, *first, &out->link);
		put_header(out, inode, out->link.data);
		return;
	}
	*first = node;
	put_header(out, inode, NULL);
	if (S_ISREG(inode->mode) && inode->size > 0)
		sink_span(&out->sink, inode->fd, inode->offset, inode->size,
			  out->name.data);
}

/* All but the end of the archive. */
static void write_tar(struct output *out, const bool *wanted)
{
	const struct rootfs *r = out->rootfs;

	io_pipe_grow(1);
	sink_init(&out->sink, 1);
	out->first = mem_zero(r->n_inodes, sizeof *out->first);
	for (size_t i = 1; i < r->n_order; i++) {
		if (wanted[r->order[i]])
			put_node(out, r->order[i]);
		progress("files", i, r->n_order - 1, out->sink.total);
	}
	progress_end();
}

static void end_tar(struct output *out)
{
	sink_zeroes(&out->sink, tar_end(out->sink.total, TAR_RECORD));
	sink_end(&out->sink);
	io_finish();
	sink_release(&out->sink);
	free(out->first);
	buf_release(&out->name);
	buf_release(&out->link);
}

/* --- the list --- */

static int list_contents(struct unpack_list *list, const struct rootfs_inode *inode,
			 struct err *e)
{
	static char block[65536];
	uint64_t done = 0;

	while (done < inode->size) {
		size_t want = inode->size - done < sizeof block
				  ? (size_t)(inode->size - done)
				  : sizeof block;
		ssize_t n = io_pread(inode->fd, block, want, inode->offset + (off_t)done);
		if (n <= 0)
			return err_set(e, "the contents of a file are cut off");
		if (unpack_list_data(list, block, (size_t)n, e) < 0)
			return -1;
		done += (uint64_t)n;
	}
	return 0;
}

static int list_node(struct unpack_list *list, const struct rootfs *r, uint32_t node,
		     struct err *e)
{
	const struct rootfs_inode *inode = rootfs_inode(r, node);
	const struct unpack_attributes a = {
	    .mode = inode->mode,
	    .link = r->text.data + inode->link,
	    .uid = inode->uid,
	    .gid = inode->gid,
	    .mtime = inode->mtime,
	    .nsec = inode->nsec,
	    .major = inode->major,
	    .minor = inode->minor,
	};
	struct buf path = {0};

	rootfs_path(r, node, &path);
	int result = unpack_list_add(list, path.data, &a, inode->size, inode->names, e);
	if (result == 0 && S_ISREG(inode->mode))
		result = list_contents(list, inode, e);
	buf_release(&path);
	return result;
}

static void make_list(const struct rootfs *r, const bool *wanted, struct buf *text)
{
	struct unpack_list *list = unpack_list_new(text);
	struct err why;

	for (size_t i = 0; i < r->n_order; i++)
		if (wanted[r->order[i]] && list_node(list, r, r->order[i], &why) < 0)
			die("%s", why.text);
	if (unpack_list_end(list, &why) < 0)
		die("%s", why.text);
}

int main(int argc, char **argv)
{
	struct options o;
	struct image im = {0};
	struct rootfs r;
	struct buf text = {0};
	struct output out = {.rootfs = &r};
	struct err why;

	err_init("dt-flatten");
	io_init();
	parse_args(&o, argc, argv);
	if (image_open(&im, o.file, o.from_name, o.from_tag, &o.platform, &why) < 0)
		die("%s", why.text);
	struct image_layers *layers = image_layers_open(&im, !o.no_verify);
	if (rootfs_of_image(&r, &im, layers, &why) < 0)
		die("%s", why.text);
	rootfs_sort(&r);
	bool *wanted = select_nodes(&r, &o);

	if (o.list)
		make_list(&r, wanted, &text);
	else
		write_tar(&out, wanted);
	if (image_layers_check(layers, &why) < 0)
		die("%s", why.text);
	if (o.list)
		io_finish_text(&text);
	else
		end_tar(&out);

	free(wanted);
	buf_release(&text);
	rootfs_release(&r);
	image_layers_release(layers);
	image_release(&im);
	return 0;
}
