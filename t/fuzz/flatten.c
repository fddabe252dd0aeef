#include "image/flat.h"

#include "archive/tar.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "tree/sink.h"
#include "input.h"
#include "mutator.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE_MAX_READ = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* No name twice or empty, none that leads out of the root, and no whiteout. */
static void check_path(const char *before, const char *path)
{
	if (*path == '\0' || strcmp(before, path) == 0)
		abort();
	for (const char *p = path; p != NULL;) {
		size_t n = strcspn(p, "/");
		if (n == 0 || strncmp(p, ".wh.", 4) == 0 ||
		    (n <= 2 && strncmp(p, "..", n) == 0))
			abort();
		p = p[n] == '/' ? p + n + 1 : NULL;
	}
}

/* A file's contents are there, from the first byte to the last. */
static void check_contents(const struct rootfs *r, const struct rootfs_inode *inode)
{
	uint64_t size = rootfs_size(r, inode);
	off_t start;
	char byte;

	if (size == 0)
		return;
	int fd = rootfs_open(r, inode, &start);
	if (pread(fd, &byte, 1, start) != 1 ||
	    pread(fd, &byte, 1, start + (off_t)size - 1) != 1)
		abort();
}

static void walk(struct rootfs *r)
{
	struct buf before = {0}, path = {0};

	rootfs_sort(r);
	buf_addstr(&before, "");
	for (uint32_t i = rootfs_next(r, 0); i != ROOTFS_NONE; i = rootfs_next(r, i)) {
		buf_clear(&path);
		rootfs_path(r, i, &path);
		check_path(before.data, path.data);
		if (rootfs_find(r, path.data) != i)
			abort();
		check_contents(r, rootfs_inode(r, i));
		(void)rootfs_follow(r, path.data);
		buf_clear(&before);
		buf_add(&before, path.data, path.len);
	}
	buf_release(&before);
	buf_release(&path);
}

/* As a tar and as a list; what a sparse file may say that it has would take too long. */
static void write_all(struct rootfs *r)
{
	bool *wanted = mem_zero(r->n, sizeof *wanted);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct sink sink;
	struct err e;

	for (uint32_t i = 0; i != ROOTFS_NONE; i = rootfs_next(r, i))
		wanted[i] = rootfs_size(r, rootfs_inode(r, i)) < SIZE_MAX_READ;
	sink_init(&sink, -1);
	rootfs_write(r, wanted, &sink);
	sink_end(&sink);
	if (sink.total % TAR_BLOCK != 0)
		abort();
	sink_release(&sink);
	(void)rootfs_list(r, wanted, null, &e);
	close(null);
	free(wanted);
}

/* The input is an image, or else a layer, which is laid on top of itself. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in;
	struct flat m;
	struct err e;

	if (input_open(&in, data, len) < 0)
		return 1;
	int result = flat_open(&m, &in.choice, false, &e);
	if (m.layers == NULL) {
		rootfs_init(&m.rootfs);
		result = rootfs_add_layer(&m.rootfs, in.fd, 0, len, "lower", &e);
		if (result == 0)
			result = rootfs_add_layer(&m.rootfs, in.fd, 0, len, "upper", &e);
	}
	if (result == 0) {
		walk(&m.rootfs);
		write_all(&m.rootfs);
	}
	flat_release(&m);
	close(in.fd);
	return 0;
}
