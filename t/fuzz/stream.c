#include "archive/unpack.h"

#include "base/err.h"
#include "base/io.h"
#include "image/layernote.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Goes through a stream as dt-manifest does: contents are copied, kept or passed over. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct unpack_member m;
	struct buf text = {0};
	struct err e;
	struct layernote note;
	size_t n = 0;
	int fd = memfd_create("stream", MFD_CLOEXEC), null = open("/dev/null", O_WRONLY);

	if (fd < 0 || null < 0 || io_write(fd, data, len) < 0 ||
	    lseek(fd, 0, SEEK_SET) < 0)
		return 1;
	unpack_limit(64 << 20); /* for each input */
	struct unpack_stream *s = unpack_stream_new(fd, "input");
	while (unpack_next(s, &m, &e) > 0 && n++ < 1000) {
		(void)layernote_read(&note, &m, &e);
		layernote_release(&note);
		int result = n % 3 == 0   ? unpack_copy(s, null, NULL, &e)
			     : n % 3 == 1 ? unpack_read(s, &text, 1 << 16, &e)
					  : 0;
		if (result < 0)
			break;
	}
	unpack_stream_release(s);
	buf_release(&text);
	close(null);
	close(fd);
	return 0;
}
