#include "job.h"

#include "err.h"
#include "io.h"
#include "jail.h"
#include "path.h"
#include "rootfs.h"
#include "tar.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int64_t job_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void add_member(struct buf *tar, const char *path, bool is_folder)
{
	const struct tar_member m = {.name = path,
				     .type = is_folder ? TAR_FOLDER : TAR_FILE,
				     .mode = is_folder ? 0755 : 0644};

	tar_header(tar, &m);
}

/* What is made must not stand below a link, or anything else that is no folder. */
static int check_above(const struct rootfs *r, char *path, struct err *e)
{
	int result = 0;

	for (char *p = strchr(path, '/'); p != NULL && result == 0;
	     p = strchr(p + 1, '/')) {
		*p = '\0';
		uint32_t node = rootfs_find(r, path);
		if (node != ROOTFS_NONE && !S_ISDIR(rootfs_inode(r, node)->mode))
			result = err_set(e, "/%s: it is no folder in the image", path);
		*p = '/';
	}
	return result;
}

/* Adds `path` unless links in the image lead it to what can be mounted on. */
static int add_point(const struct rootfs *r, struct buf *tar, const char *path,
		     bool is_folder, struct err *e)
{
	struct buf clean = {0};
	uint32_t node = rootfs_follow(r, path);
	int result = 0;

	path_clean(path, &clean);
	if (node == ROOTFS_NONE) {
		result = check_above(r, clean.data, e);
		if (result == 0 && rootfs_find(r, clean.data) != ROOTFS_NONE)
			result =
			    err_set(e, "/%s: it is no folder in the image", clean.data);
		if (result == 0)
			add_member(tar, clean.data, is_folder);
	} else if (S_ISDIR(rootfs_inode(r, node)->mode) != is_folder) {
		result = err_set(e, "/%s: it is %s folder in the image", clean.data,
				 is_folder ? "no" : "a");
	}
	buf_release(&clean);
	return result;
}

static int add_points(const struct job *j, struct buf *tar, struct err *e)
{
	struct stat st;

	for (const char *const *p = jail_points; *p != NULL; p++)
		if (add_point(j->rootfs, tar, *p, true, e) < 0)
			return -1;
	for (size_t i = 0; i < j->n_binds; i++) {
		const struct jail_bind *b = &j->bind[i];
		if (b->to[0] != '/')
			return err_set(e, "--bind: %s: not an absolute path", b->to);
		if (lstat(b->from, &st) < 0)
			return err_set_errno(e, "--bind: %s", b->from);
		if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
			return err_set(e, "--bind: %s: neither a folder nor a file",
				       b->from);
		if (add_point(j->rootfs, tar, b->to, S_ISDIR(st.st_mode), e) < 0)
			return -1;
	}
	return 0;
}

int job_prepare(struct job *j, struct err *e)
{
	struct buf tar = {0};
	int result = add_points(j, &tar, e), fd = -1;

	if (result == 0 && tar.len > 0) {
		fd = io_tmpfile();
		if (fd < 0 || io_write(fd, tar.data, tar.len) < 0)
			result = err_set_errno(e, "a temporary file");
		else
			result = rootfs_add_layer(j->rootfs, fd, 0, tar.len,
						  "mount points", e);
		if (fd >= 0)
			close(fd);
	}
	if (result == 0)
		rootfs_sort(j->rootfs);
	buf_release(&tar);
	return result;
}
