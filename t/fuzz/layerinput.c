/*
 * Layer archives on standard input, as dt-manifest takes them. An accepted archive is
 * written as a layer archive that is accepted again, with the same layers, each once. An
 * image made of it can be opened.
 */
#include "image/layerinput.h"

#include "archive/unpack.h"
#include "base/err.h"
#include "base/io.h"
#include "image/config.h"
#include "image/image.h"
#include "image/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TIME "1970-01-01T00:00:01Z"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Makes the file standard input, from its start. */
static void be_stdin(int fd)
{
	if (lseek(fd, 0, SEEK_SET) < 0 || dup2(fd, STDIN_FILENO) < 0)
		abort();
}

static int new_file(void)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);

	if (fd < 0)
		abort();
	return fd;
}

/* The layers that were written, if any, are those of the new archive. */
static void check_again(const struct writer *w)
{
	struct writer out = {.verify = true};
	struct layerinput in;
	struct err e;
	size_t n = 0;

	for (size_t i = 0; i < w->layer.n; i++)
		n += !w->about[i].is_absent;
	if (n == 0)
		return;
	out.fd = new_file();
	be_stdin(w->fd);
	if (layerinput_read(&in, &out, TIME, NULL, 0, &e) < 0 || in.base != NULL ||
	    out.bytes != w->bytes)
		abort();
	if (n != json_array_size(in.diff_ids))
		abort();
	for (size_t i = 0; i < n; i++) {
		const char *id = json_string_value(json_array_get(in.diff_ids, i));
		if (!writer_has(w, digest_strip(id)))
			abort();
	}
	layerinput_release(&in);
	writer_release(&out);
	close(out.fd);
}

/* The layers and the documents of dt-manifest are an image together. */
static void check_image(const struct layerinput *in, struct writer *w)
{
	json_t *empty = json_object();
	bool is_told = json_object_get(in->base, "architecture") != NULL;
	const struct config_image parts = {
	    .base = in->base,
	    .config = empty,
	    .diff_ids = in->diff_ids,
	    .history = in->history,
	    .created = TIME,
	    .arch = is_told ? NULL : "amd64",
	    .variant = "",
	};
	struct image_choice choice;
	struct image im = {0};
	struct err e;
	char name[64];
	json_t *config = config_image(&parts);
	const json_t *ids =
	    json_object_get(json_object_get(config, "rootfs"), "diff_ids");

	if (json_array_size(ids) > 0 && json_array_size(ids) <= 127 &&
	    config_fit(config, &e) == 0) {
		writer_image(w, config, NULL, "name", "tag", NULL);
		writer_end(w);
		snprintf(name, sizeof name, "/proc/self/fd/%d", w->fd);
		image_choice_init(&choice);
		choice.from = name;
		choice.may_lack = true;
		if (image_open(&im, &choice, &e) < 0 || im.n != json_array_size(ids))
			abort();
		image_release(&im);
	}
	json_decref(config);
	json_decref(empty);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct layerinput in;
	struct err e;
	int fd = new_file();

	if (io_write(fd, data, size) < 0)
		return 1;
	for (int is_image = 0; is_image < 2; is_image++) {
		struct writer w = {.fd = new_file(), .verify = true};
		unpack_limit(64 << 20); /* for each input */
		be_stdin(fd);
		if (layerinput_read(&in, &w, TIME, NULL, 0, &e) == 0) {
			if (is_image) {
				check_image(&in, &w);
			} else {
				writer_end(&w);
				check_again(&w);
			}
		}
		layerinput_release(&in);
		writer_release(&w);
		close(w.fd);
	}
	close(fd);
	return 0;
}
