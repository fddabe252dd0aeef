/*
 * Without arguments, a test; with IMAGE and DISK, writes the merged tree of the image
 * archive to the file DISK, for those who read erofs by other means.
 */
#include "run/erofs.h"

#include "base/err.h"
#include "image/flat.h"
#include "image/platform.h"

#include "tap.h"

#include <fcntl.h>
#include <stdint.h>

enum { SUPER = 1024, MAGIC = 0xe0f5e1e2 };

static int write_disk(struct rootfs *r, int fd, struct err *e)
{
	rootfs_sort(r);
	struct erofs *disk = erofs_place(r, fd, e);
	int result = disk != NULL ? erofs_fill(disk, e) : -1;

	erofs_release(disk);
	return result;
}

static void convert(const char *file, const char *to)
{
	struct image_choice choice;
	struct flat image;
	struct err why;
	int fd = open(to, O_RDWR | O_CREAT | O_TRUNC, 0666);

	if (fd < 0)
		die_errno("%s", to);
	image_choice_init(&choice);
	choice.from = file;
	if (flat_open(&image, &choice, false, &why) < 0 ||
	    write_disk(&image.rootfs, fd, &why) < 0)
		die("%s", why.text);
	flat_release(&image);
	close(fd);
}

static void test_empty(void)
{
	struct rootfs r;
	struct err why;
	uint32_t magic = 0;
	FILE *file = tmpfile();

	rootfs_init(&r);
	tap_ok(write_disk(&r, fileno(file), &why) == 0, "an empty tree");
	tap_ok(pread(fileno(file), &magic, sizeof magic, SUPER) == sizeof magic &&
		   magic == MAGIC,
	       "its superblock");
	rootfs_release(&r);
	fclose(file);
}

int main(int argc, char **argv)
{
	err_init("erofs");
	if (argc == 3) {
		convert(argv[1], argv[2]);
		return 0;
	}
	test_empty();
	return tap_done();
}
