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
#include "image/image.h"
#include "image/manifest.h"

#include <getopt.h>

static const struct opt option_table[] = {IMAGE_OPTIONS, {0}};

static const struct opt_tool tool = {
    .synopsis = "[OPTION]... [IMAGE]",
    .purpose = "Reads an image archive and prints the image's names, layers and "
	       "configuration\nas JSON.",
    .options = option_table,
};

static void parse_args(struct image_choice *choice, int argc, char **argv)
{
	image_choice_init(choice);
	choice->from = "-";
	choice->may_lack = true;
	for (int key; (key = opt_next(argc, argv, &tool)) != -1;)
		image_choice_option(choice, key, optarg);
	if (optind < argc)
		choice->from = argv[optind++];
	if (optind < argc)
		die_usage("unexpected operand '%s'", argv[optind]);
}

static void describe(const struct image *image, struct buf *out)
{
	json_t *doc = json_object(), *layers = json_array(), *absent = json_array();
	json_t *manifest = image_archive_descriptor(image->archive, image->id, image->n);
	const char *hex = manifest_hex(manifest);

	for (size_t i = 0; i < image->n; i++) {
		json_t *diff_id = json_digest(image->layer[i].diff_id);
		json_array_append_new(layers, diff_id);
		if (image->layer[i].place == NULL)
			json_array_append(absent, diff_id);
	}
	json_object_set(doc, "repoTags", image->tags);
	json_object_set_new(doc, "manifest",
			    hex != NULL ? json_digest(hex) : json_null());
	json_object_set_new(doc, "annotations",
			    image_archive_annotations(image->archive, manifest));
	json_object_set_new(doc, "config", json_digest(image->id));
	json_object_set_new(doc, "layers", layers);
	json_object_set_new(doc, "absent", absent);
	json_object_set(doc, "image", image->config);
	json_write(doc, out);
	buf_addch(out, '\n');
	json_decref(doc);
	json_decref(manifest);
}

int main(int argc, char **argv)
{
	struct image_choice choice;
	struct image image = {0};
	struct buf text = {0};
	struct err why;

	err_init("dt-inspect");
	io_init();
	parse_args(&choice, argc, argv);
	io_begin(opt_output(), IO_TEXT);
	if (image_open(&image, &choice, &why) < 0)
		die("%s", why.text);
	describe(&image, &text);
	io_finish_text(&text);
	buf_release(&text);
	image_release(&image);
	return 0;
}
