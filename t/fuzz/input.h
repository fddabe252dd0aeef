/*
 * input: the input of a fuzzer as a file that image_open() and its like read.
 *
 *	struct input in;
 *	if (input_open(&in, data, len) < 0)
 *		return 1;
 *	... in.choice ...
 *	close(in.fd);
 */
#ifndef DT_FUZZ_INPUT_H
#define DT_FUZZ_INPUT_H

#include "base/io.h"
#include "image/image.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

struct input {
	int fd;
	char name[64]; /* a file name for `fd` */
	struct image_choice choice;
};

/* Returns 0, or -1 if there is no file. At most 64 MiB will be unpacked of the input. */
static inline int input_open(struct input *in, const uint8_t *data, size_t len)
{
	in->fd = memfd_create("image", MFD_CLOEXEC);
	if (in->fd < 0 || io_write(in->fd, data, len) < 0)
		return -1;
	snprintf(in->name, sizeof in->name, "/proc/self/fd/%d", in->fd);
	image_choice_init(&in->choice);
	in->choice.from = in->name;
	unpack_limit(64 << 20);
	return 0;
}

#endif
