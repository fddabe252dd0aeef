#include "archive/compress.h"

#include "base/err.h"
#include "base/io.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { OUTPUT_MAX = 16 << 20 };

static int count(void *arg, const void *data, size_t len, struct err *e)
{
	size_t *left = arg;

	(void)data;
	if (len == 0 || len > *left)
		return err_set(e, "enough");
	*left -= len;
	return 0;
}

/* Uncompresses it, and from the second byte on. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err e;
	int fd = memfd_create("inflate", MFD_CLOEXEC);

	if (fd < 0 || io_write(fd, data, len) < 0)
		return 1;
	(void)compress_detect(data, len);
	for (size_t skip = 0; skip < 2 && skip <= len; skip++) {
		size_t left = OUTPUT_MAX;
		(void)compress_inflate(fd, (off_t)skip, len - skip, count, &left, "input",
				       &e);
	}
	close(fd);
	return 0;
}
