/*
 * dt-inspect: what an image is, as JSON.
 *
 * stdin or IMAGE: an image archive, dt-image(5); stdout: a JSON object.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/opt.h"
#include "base/sandbox.h"
#include "image/annotations.h"
#include "image/image.h"
#include "image/manifest.h"
#include "image/sizes.h"

#include <getopt.h>
#include <stdbool.h>

struct options {
	struct image_choice choice;
	bool all, sizes;
};

enum { OPT_ALL = 1, OPT_SIZES };

static const struct opt option_table[] = {
    {OPT_ALL, "all", NULL, "print an object for each image, one a line"},
    {OPT_SIZES, "sizes", NULL,
     "print instead which files and store paths take the bytes"},
    IMAGE_OPTIONS,
    {0},
};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... [IMAGE]",
    .purpose = "Reads an image archive and prints the image's names, layers and "
	       "configuration\nas JSON.",
    .options = option_table,
};

static void parse_args(struct options *o, int argc, char **argv)
{
	*o = (struct options){0};
	image_choice_init(&o->choice);
	o->choice.from = "-";
	o->choice.may_lack = true;
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;) {
		if (key == OPT_ALL)
			o->all = true;
		else if (key == OPT_SIZES)
			o->sizes = true;
		else
			image_choice_option(&o->choice, key, optarg);
	}
	if (optind < argc)
		o->choice.from = argv[optind++];
	if (optind < argc)
		die_usage("unexpected operand '%s'", argv[optind]);
	if (o->all && (o->choice.name != NULL || o->choice.tag != NULL))
		die_usage("--all does not go with --from-name and --from-tag");
}

static void write_facts(const struct image *image, struct buf *out)
{
	json_t *doc = json_object(), *layers = json_array(), *absent = json_array();
	json_t *descriptor, *manifest = image_manifest(image, &descriptor);
	json_t *blobs = json_object_get(manifest, "layers");
	const char *hex = manifest_hex(descriptor);

	for (size_t i = 0; i < image->n; i++) {
		json_t *diff_id = json_digest(image->layer[i].diff_id);
		json_array_append_new(layers, diff_id);
		if (image->layer[i].place == NULL)
			json_array_append(absent, diff_id);
	}
	json_object_set(doc, "repoTags", image->tags);
	json_object_set_new(doc, "manifest",
			    hex != NULL ? json_digest(hex) : json_null());
	json_object_set_new(doc, "annotations", annotations_of_manifest(manifest));
	json_object_set_new(doc, "config", json_digest(image->id));
	json_object_set_new(doc, "layers", layers);
	json_object_set(doc, "blobs", blobs != NULL ? blobs : json_null());
	json_object_set_new(doc, "absent", absent);
	json_object_set(doc, "image", image->config);
	json_write(doc, out);
	json_decref(doc);
	json_decref(descriptor);
	json_decref(manifest);
}

static int describe(const struct image *image, const struct options *o, struct buf *out,
		    struct err *e)
{
	if (!o->sizes)
		write_facts(image, out);
	else if (sizes_write(image, out, e) < 0)
		return -1;
	buf_addch(out, '\n');
	return 0;
}

static int describe_one(const struct options *o, struct buf *out, struct err *e)
{
	struct image image = {0};
	int result = image_open(&image, &o->choice, e);

	if (result == 0)
		result = describe(&image, o, out, e);
	image_release(&image);
	return result;
}

static int describe_all(const struct options *o, struct buf *out, struct err *e)
{
	struct image_archive archive = {0};
	int result = image_archive_open(&archive, o->choice.from, &o->choice, e);

	for (size_t i = 0; result == 0 && i < json_array_size(archive.images); i++) {
		struct image image = {0};
		result = image_open_at(&image, &archive, i, e);
		if (result == 0)
			result = describe(&image, o, out, e);
		image_release(&image);
	}
	image_archive_release(&archive);
	return result;
}

int main(int argc, char **argv)
{
	struct options o;
	struct sandbox sandbox = {0};
	struct buf text = {0};
	struct err why;

	err_init("dt-inspect");
	io_init();
	parse_args(&o, argc, argv);
	io_begin(opt_output(), IO_TEXT);
	sandbox_read(&sandbox, o.choice.from);
	sandbox_enter(&sandbox);
	int result =
	    o.all ? describe_all(&o, &text, &why) : describe_one(&o, &text, &why);
	if (result < 0)
		die("%s", why.text);
	io_finish_text(&text);
	buf_release(&text);
	return 0;
}
