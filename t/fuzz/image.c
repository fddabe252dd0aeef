#include "image/image.h"

#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "image/sizes.h"
#include "input.h"
#include "mutator.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The sizes of an image are JSON, whatever its names are. */
static void write_sizes(const struct image *im)
{
	struct buf text = {0};
	struct err e;

	if (sizes_write(im, &text, &e) == 0) {
		json_t *doc = json_parse(text.data, text.len, "sizes", &e);
		if (doc == NULL)
			abort();
		json_decref(doc);
	}
	buf_release(&text);
}

/* Reads all layers of the image that was opened. */
static void read_layers(const struct image *im)
{
	struct image_bytes bytes;
	struct err e;

	for (size_t i = 0; i < im->n; i++) {
		if (image_layer_open(im, i, &bytes, &e) < 0)
			break;
		(void)image_layer_read(im, i, &bytes, NULL, NULL, &e);
		image_layer_close(&bytes);
	}
}

/* dt-merge and the options --from take any bytes: the result is images, or a reason. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in;
	struct image_archive a = {0};
	struct image im = {0};
	struct err e;

	if (input_open(&in, data, len) < 0)
		return 1;
	in.choice.may_lack = true;
	if (image_open(&im, &in.choice, &e) == 0)
		write_sizes(&im);
	image_release(&im);
	in.choice.may_lack = false;
	if (image_open(&im, &in.choice, &e) == 0)
		read_layers(&im);
	image_release(&im);
	if (image_archive_open(&a, in.name, &in.choice, &e) == 0)
		for (size_t i = 0; i < json_array_size(a.images); i++) {
			if (image_open_at(&im, &a, i, &e) == 0)
				read_layers(&im);
			image_release(&im);
		}
	image_archive_release(&a);
	close(in.fd);
	return 0;
}
