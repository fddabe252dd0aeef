#include "image/image.h"

#include "base/err.h"
#include "base/io.h"
#include "input.h"
#include "mutator.h"

#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

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
