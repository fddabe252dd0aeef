#include "image/repack.h"

#include "archive/unpack.h"
#include "base/err.h"
#include "base/io.h"
#include "image/writer.h"
#include "mutator.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Compresses the layers of an image archive. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err e;
	int fd = memfd_create("archive", MFD_CLOEXEC);
	struct writer w = {.fd = open("/dev/null", O_WRONLY)};
	struct repack r = {.out = &w, .format = COMPRESS_GZIP};

	if (fd < 0 || w.fd < 0 || io_write(fd, data, len) < 0 ||
	    lseek(fd, 0, SEEK_SET) < 0)
		return 1;
	unpack_limit(64 << 20); /* for each input */
	(void)repack_stream(&r, fd, "input", &e);
	repack_release(&r);
	writer_release(&w);
	close(w.fd);
	close(fd);
	return 0;
}
