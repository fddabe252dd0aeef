/*
 * A kernel and the modules.dep of its modules. Both are the same input, because a text
 * can be in a kernel, and a kernel without a header is one that QEMU may know.
 */
#include "run/kernel.h"

#include "archive/unpack.h"
#include "base/err.h"
#include "base/io.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int fd = -1;
static char directory[] = "/tmp/dt-fuzz-kernel.XXXXXX", file[64], dep[64];

static void remove_directory(void)
{
	unlink(dep);
	rmdir(directory);
}

/* A directory whose modules.dep is the input. */
static void make_directory(void)
{
	static const char *const unset[] = {"DT_CACHE", "XDG_CACHE_HOME", "HOME"};

	for (size_t i = 0; i < sizeof unset / sizeof *unset; i++)
		unsetenv(unset[i]);
	fd = memfd_create("kernel", MFD_CLOEXEC);
	snprintf(file, sizeof file, "/proc/self/fd/%d", fd);
	if (fd < 0 || mkdtemp(directory) == NULL)
		abort();
	snprintf(dep, sizeof dep, "%s/modules.dep", directory);
	if (symlink(file, dep) < 0 || atexit(remove_directory) != 0)
		abort();
}

/* Each module is there once, and is a file of the directory. */
static void check_modules(const struct kernel *k)
{
	size_t len = strlen(directory);

	for (size_t i = 0; i < k->n_modules; i++) {
		const char *module = k->module[i];
		if (strncmp(module, directory, len) != 0 || module[len] != '/' ||
		    strchr(module, '\n') != NULL)
			abort();
		for (size_t j = 0; j < i; j++)
			if (strcmp(module, k->module[j]) == 0)
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kernel k;
	struct err e;
	char begin[4];

	if (fd < 0)
		make_directory();
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    io_write(fd, data, len) < 0)
		return 1;
	unpack_limit(64 << 20); /* for each input */
	if (kernel_find(&k, file, directory, &e) == 0) {
		check_modules(&k);
		int plain = kernel_open(&k, &e);
		if (plain < 0)
			abort();
		ssize_t n = io_pread(plain, begin, sizeof begin, 0);
		size_t size = (size_t)lseek(plain, 0, SEEK_END);
		if (size != len && (n != 4 || memcmp(begin, "\177ELF", 4) != 0))
			abort();
		close(plain);
	}
	kernel_release(&k);
	return 0;
}
