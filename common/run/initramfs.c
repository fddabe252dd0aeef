#include "run/initramfs.h"

#include "archive/cpio.h"
#include "archive/unpack.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "run/busybox.h"
#include "run/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 32 << 20, EXECUTABLE = S_IFREG | 0755, DIRECTORY = S_IFDIR | 0755 };

/* Appends the file `from` as the entry `name`. */
static int add_file(struct buf *out, const char *name, const char *from, struct err *e)
{
	struct buf text = {0};

	if (io_slurp_file(from, &text, FILE_MAX) < 0)
		return err_set_errno(e, "%s", from);
	cpio_add(out, name, EXECUTABLE, text.data, text.len);
	buf_release(&text);
	return 0;
}

static int add_init(struct buf *out, struct err *e)
{
	static const char *const places[] = {"guest/init", "../libexec/dt/init"};
	char self[4096];
	struct buf path = {0};
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	int result = -1;

	self[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(self, '/');
	if (slash != NULL)
		*slash = '\0';
	for (size_t i = 0; i < sizeof places / sizeof *places && result < 0; i++) {
		buf_clear(&path);
		buf_addf(&path, "%s/%s", self, places[i]);
		result = add_file(out, "init", path.data, e);
	}
	buf_release(&path);
	return result;
}

/* Appends the uncompressed contents of a module. */
static int read_module(const char *file, struct buf *out, struct err *e)
{
	struct stat st;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set_errno(e, "%s", file);
	int result = fstat(fd, &st) < 0 ? err_set_errno(e, "%s", file) : 0;
	int plain = result == 0 ? unpack_span(fd, 0, (uint64_t)st.st_size, file, e) : -1;
	if (plain != UNPACK_PLAIN) {
		close(fd);
		fd = plain;
	}
	if (fd < 0)
		return -1;
	if (lseek(fd, 0, SEEK_SET) < 0 || io_slurp(fd, out, FILE_MAX) < 0)
		result = err_set_errno(e, "%s", file);
	close(fd);
	return result;
}

/* The kernel may be unable to uncompress a module, so none is compressed here. */
static int add_modules(struct buf *out, const struct kernel *k, struct err *e)
{
	struct buf name = {0}, text = {0};
	int result = 0;

	cpio_add(out, "modules", DIRECTORY, "", 0);
	for (size_t i = 0; i < k->n_modules && result == 0; i++) {
		buf_clear(&name);
		buf_addf(&name, "modules/%03zu-%s", i, strrchr(k->module[i], '/') + 1);
		buf_clear(&text);
		result = read_module(k->module[i], &text, e);
		if (result == 0)
			cpio_add(out, name.data, EXECUTABLE, text.data, text.len);
	}
	buf_release(&name);
	buf_release(&text);
	return result;
}

static int add_busybox(struct buf *out, struct err *e)
{
	static const char target[] = "busybox";
	struct buf names = {0}, path = {0}, program = {0};
	int fd = busybox_open(&names, e);

	if (fd < 0)
		return -1;
	int result =
	    io_slurp(fd, &program, FILE_MAX) < 0 ? err_set_errno(e, "busybox") : 0;
	close(fd);
	cpio_add(out, "dt/bin/busybox", EXECUTABLE, program.data, program.len);
	for (size_t i = 0; i < names.len; i += strlen(names.data + i) + 1) {
		buf_clear(&path);
		buf_addf(&path, "dt/bin/%s", names.data + i);
		cpio_add(out, path.data, S_IFLNK | 0777, target, sizeof target - 1);
	}
	buf_release(&names);
	buf_release(&path);
	buf_release(&program);
	return result;
}

int initramfs_make(const struct kernel *k, struct err *e)
{
	static const char *const directories[] = {"dt", "dt/bin", "lower", "disk",
						  "root"};
	struct buf out = {0};
	int fd = -1;

	for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
		cpio_add(&out, directories[i], DIRECTORY, "", 0);
	int result = add_init(&out, e) < 0 || add_modules(&out, k, e) < 0 ||
			     add_busybox(&out, e) < 0
			 ? -1
			 : 0;
	cpio_end(&out);
	if (result == 0) {
		fd = memfd_create("initramfs", MFD_CLOEXEC);
		if (fd < 0 || io_write(fd, out.data, out.len) < 0)
			result = err_set_errno(e, "an initramfs");
	}
	buf_release(&out);
	if (result < 0 && fd >= 0)
		close(fd);
	return result == 0 ? fd : -1;
}
