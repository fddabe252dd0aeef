#include "run/disks.h"

#include "base/buf.h"
#include "base/io.h"
#include "base/pool.h"
#include "base/spawn.h"
#include "run/erofs.h"
#include "run/jail.h"
#include "run/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Adds a file or directory of this machine. Its path is absolute. */
static int add_extra(struct disks *d, const char *path, const char *as, struct err *e)
{
	if (strcmp(path, "/") == 0)
		return err_set(e, "/: all files of this machine do not fit on a disk");
	return rootfs_add_disk(&d->extra, path, as, e);
}

/* Adds the --tree directory and the --bind directories. */
static int add_extras(struct disks *d, const struct job *j, struct err *e)
{
	struct buf as = {0};
	int result = 0;

	if (j->tree != NULL)
		result = add_extra(d, j->tree, "tree", e);
	for (size_t i = 0; i < j->n_binds && result == 0; i++) {
		buf_clear(&as);
		buf_addf(&as, "binds%s", j->bind[i].to);
		result = add_extra(d, j->bind[i].from, as.data, e);
	}
	rootfs_sort(&d->extra);
	buf_release(&as);
	return result;
}

static void fill(void *arg, size_t i)
{
	struct disks *d = arg;

	d->result[i] = erofs_fill(d->erofs[i], &d->why[i]);
}

/* Gives the disk its size for the guest. */
static int set_size(int fd, struct err *e)
{
	return ftruncate(fd, (off_t)DISKS_SIZE) < 0
		   ? err_set_errno(e, "cannot write a temporary file")
		   : 0;
}

int disks_start(struct disks *d, const struct job *j, struct err *e)
{
	static const int made[] = {DISK_BASE, DISK_CHANGES, DISK_EXTRA};

	*d = (struct disks){.is_there = true, .fd = {-1, -1, -1, -1}};
	d->fd[DISK_LAYER] = j->layer;
	rootfs_init(&d->extra);
	for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
		d->fd[made[i]] = io_tmpfile();
		if (d->fd[made[i]] < 0)
			return err_set_errno(e, "cannot create a temporary file");
	}
	if (add_extras(d, j, e) < 0)
		return -1;
	d->erofs[0] = erofs_place(j->rootfs, d->fd[DISK_BASE], e);
	if (d->erofs[0] != NULL)
		d->erofs[1] = erofs_place(&d->extra, d->fd[DISK_EXTRA], e);
	if (d->erofs[1] == NULL || set_size(d->fd[DISK_BASE], e) < 0 ||
	    set_size(d->fd[DISK_EXTRA], e) < 0)
		return -1;
	d->filling = pool_start(2, fill, d);
	return 0;
}

int disks_finish(struct disks *d, struct err *e)
{
	pool_release(d->filling);
	d->filling = NULL;
	for (int i = 0; i < 2; i++)
		if (d->result[i] < 0)
			return err_set(e, "%s", d->why[i].text);
	return 0;
}

int disks_empty(struct disks *d, struct err *e)
{
	static const int written[] = {DISK_CHANGES, DISK_LAYER};

	for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
		int fd = d->fd[written[i]];
		if (ftruncate(fd, 0) < 0)
			return err_set_errno(e, "cannot write a temporary file");
		if (set_size(fd, e) < 0)
			return -1;
	}
	return 0;
}

static void list_settings(const struct job *j, struct buf *out)
{
	buf_addf(out, "mtime=%" PRId64, j->mtime);
	buf_addch(out, '\0');
	buf_addf(out, "script=%zu", j->script.len);
	buf_addch(out, '\0');
	if (j->tree != NULL)
		buf_add(out, "tree=1", sizeof "tree=1");
	for (size_t i = 0; i < j->n_binds; i++) {
		buf_addf(out, "bind=%s", j->bind[i].to);
		buf_addch(out, '\0');
	}
	buf_addch(out, '\0');
	buf_add(out, j->script.data, j->script.len);
}

static int write_settings(struct disks *d, const struct job *j, struct err *e)
{
	int fd = d->fd[DISK_LAYER];
	struct buf text = {0};
	int result = 0;

	list_settings(j, &text);
	if (text.len > DISKS_SETTINGS_MAX)
		result = err_set(e, "the script and the names of --bind are too long");
	else if (lseek(fd, (off_t)DISKS_SETTINGS, SEEK_SET) < 0 ||
		 io_write(fd, text.data, text.len) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		result = err_set_errno(e, "cannot write a temporary file");
	d->settings = text.len;
	buf_release(&text);
	return result;
}

/* Makes a file system of `mib` MiB at the start of the disk. */
static int make_ext4(int fd, uint64_t mib, int log, struct err *e)
{
	char path[64], blocks[32];
	const char *const argv[] = {"mke2fs",
				    "-q",
				    "-t",
				    "ext4",
				    "-F",
				    "-b",
				    "4096",
				    "-i",
				    "8192",
				    "-O",
				    "^has_journal,^metadata_csum,^64bit",
				    "-m0",
				    "-E",
				    "nodiscard,lazy_itable_init=1",
				    path,
				    blocks,
				    NULL};
	struct err why;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	snprintf(blocks, sizeof blocks, "%" PRIu64, (mib << 20) / 4096);
	if (spawn_run(argv, -1, log, &fd, 1, &why) < 0)
		return err_set(e, "%s (install e2fsprogs)", why.text);
	return 0;
}

int disks_format(struct disks *d, const struct job *j, int log, struct err *e)
{
	if (write_settings(d, j, e) < 0)
		return -1;
	return make_ext4(d->fd[DISK_CHANGES], j->disk, log, e);
}

void disks_release(struct disks *d)
{
	if (!d->is_there)
		return;
	pool_release(d->filling);
	for (int i = 0; i < 2; i++)
		erofs_release(d->erofs[i]);
	rootfs_release(&d->extra);
	for (int i = 0; i < N_DISKS; i++)
		if (i != DISK_LAYER && d->fd[i] >= 0)
			close(d->fd[i]);
}
