#include "run/disks.h"

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/spawn.h"
#include "run/changes.h"
#include "run/erofs.h"
#include "run/jail.h"
#include "run/job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Adds the file or directory `path` of this machine to the tree as `as`. */
static int add_tree(struct rootfs *r, int *spool, const char *path, const char *as,
		    struct err *e)
{
	struct changes changes = {
	    .lower = -1, .as = as, .mtime = INT64_MAX, .limit = INT64_MAX};
	char *real = realpath(path, NULL);
	int result;

	*spool = io_tmpfile();
	char *slash = real != NULL ? strrchr(real, '/') : NULL;
	if (*spool < 0 || real == NULL || slash[1] == '\0') {
		free(real);
		return err_set_errno(e, "%s", path);
	}
	*slash = '\0';
	changes.name = slash + 1;
	changes.out = *spool;
	changes.upper =
	    open(slash == real ? "/" : real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (changes.upper < 0)
		result = err_set_errno(e, "%s", path);
	else
		result = changes_layer(&changes, e) < 0
			     ? -1
			     : rootfs_add_layer(r, *spool, 0, changes.size, path, e);
	if (changes.upper >= 0)
		close(changes.upper);
	free(real);
	return result;
}

/* Reads the --bind directories and the --tree directory. */
static int read_extra(struct disks *d, const struct job *j, struct err *e)
{
	struct buf as = {0};
	int result = 0;

	rootfs_init(&d->extra);
	d->n_spools = j->n_binds + 1;
	d->spool = mem_resize(NULL, d->n_spools, sizeof *d->spool);
	memset(d->spool, -1, d->n_spools * sizeof *d->spool);
	if (j->tree != NULL)
		result = add_tree(&d->extra, &d->spool[j->n_binds], j->tree, "tree", e);
	for (size_t i = 0; i < j->n_binds && result == 0; i++) {
		buf_clear(&as);
		buf_addf(&as, "binds%s", j->bind[i].to);
		result = add_tree(&d->extra, &d->spool[i], j->bind[i].from, as.data, e);
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

int disks_start(struct disks *d, const struct job *j, struct err *e)
{
	static const int made[] = {DISK_BASE, DISK_CHANGES, DISK_EXTRA};

	*d = (struct disks){.is_there = true, .fd = {-1, -1, -1, -1}};
	d->fd[DISK_LAYER] = j->layer;
	for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
		d->fd[made[i]] = io_tmpfile();
		if (d->fd[made[i]] < 0)
			return err_set_errno(e, "cannot create a temporary file");
	}
	if (read_extra(d, j, e) < 0)
		return -1;
	d->erofs[0] = erofs_place(j->rootfs, d->fd[DISK_BASE], e);
	if (d->erofs[0] != NULL)
		d->erofs[1] = erofs_place(&d->extra, d->fd[DISK_EXTRA], e);
	if (d->erofs[1] == NULL)
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

static int make_ext4(int fd, uint64_t size, int log, struct err *e)
{
	char path[64];
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
				    NULL};
	struct err why;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)size) < 0)
		return err_set_errno(e, "a disk of %" PRIu64 " bytes", size);
	if (spawn_run(argv, -1, log, &fd, 1, &why) < 0)
		return err_set(e, "%s (install e2fsprogs)", why.text);
	return 0;
}

int disks_format(struct disks *d, const struct job *j, int log, struct err *e)
{
	int layer = d->fd[DISK_LAYER];

	if (ftruncate(layer, 0) < 0 || ftruncate(layer, (off_t)DISKS_LAYER_MAX) < 0)
		return err_set_errno(e, "cannot write a temporary file");
	return make_ext4(d->fd[DISK_CHANGES], j->disk << 20, log, e);
}

void disks_release(struct disks *d)
{
	if (!d->is_there)
		return;
	pool_release(d->filling);
	for (int i = 0; i < 2; i++)
		erofs_release(d->erofs[i]);
	for (size_t i = 0; i < d->n_spools; i++)
		if (d->spool[i] >= 0)
			close(d->spool[i]);
	if (d->spool != NULL)
		rootfs_release(&d->extra);
	free(d->spool);
	for (int i = 0; i < N_DISKS; i++)
		if (i != DISK_LAYER && d->fd[i] >= 0)
			close(d->fd[i]);
}
