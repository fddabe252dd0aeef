#include "run/job.h"

#include "archive/path.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/io.h"
#include "image/rootfs.h"
#include "run/jail.h"
#include "run/report.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int64_t job_clock(void)
{
	return (int64_t)(clock_now() * 1000);
}

int64_t job_end(const struct job *j)
{
	return j->timeout > 0 ? job_clock() + (int64_t)j->timeout * 1000 : -1;
}

/* --- the image --- */

/*
 * Checks that all directories above a new entry are directories, not symlinks or files.
 */
static int check_above(const struct rootfs *r, char *path, struct err *e)
{
	int result = 0;

	for (char *p = strchr(path, '/'); p != NULL && result == 0;
	     p = strchr(p + 1, '/')) {
		*p = '\0';
		uint32_t node = rootfs_find(r, path);
		if (node != ROOTFS_NONE && !S_ISDIR(rootfs_mode(r, node)))
			result = err_set(e, "/%s: not a directory in the image", path);
		*p = '/';
	}
	return result;
}

/*
 * Adds an entry for the mount point `path`, unless the image has one after following
 * symlinks.
 */
static int add_point(struct rootfs *r, const char *path, bool is_directory, struct err *e)
{
	struct buf clean = {0};
	uint32_t node = rootfs_follow(r, path);
	int result = 0;

	path_clean(path, &clean);
	if (node == ROOTFS_NONE) {
		result = check_above(r, clean.data, e);
		if (result == 0 && rootfs_find(r, clean.data) != ROOTFS_NONE)
			result =
			    err_set(e, "/%s: not a directory in the image", clean.data);
		if (result == 0)
			result = rootfs_add_empty(
			    r, clean.data, is_directory ? S_IFDIR | 0755 : S_IFREG | 0644,
			    e);
	} else if (S_ISDIR(rootfs_mode(r, node)) != is_directory) {
		result = err_set(e, "/%s: %s directory in the image", clean.data,
				 is_directory ? "not a" : "a");
	}
	buf_release(&clean);
	return result;
}

static int add_points(const struct job *j, struct err *e)
{
	struct stat st;

	for (const char *const *p = jail_points; *p != NULL; p++)
		if (add_point(j->rootfs, *p, true, e) < 0)
			return -1;
	for (size_t i = 0; i < j->n_binds; i++) {
		const struct jail_bind *b = &j->bind[i];
		if (b->to[0] != '/')
			return err_set(e, "--bind: %s: not an absolute path", b->to);
		if (lstat(b->from, &st) < 0)
			return err_set_errno(e, "--bind: %s", b->from);
		if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
			return err_set(e, "--bind: %s: neither a directory nor a file",
				       b->from);
		if (add_point(j->rootfs, b->to, S_ISDIR(st.st_mode), e) < 0)
			return -1;
	}
	return 0;
}

/* Replaces a path by its absolute form, because the working directory will change. */
static int make_absolute(char **path, struct err *e)
{
	char *real = realpath(*path, NULL);

	if (real == NULL)
		return err_set_errno(e, "%s", *path);
	free(*path);
	*path = real;
	return 0;
}

/* A tar may have longer file names than Linux allows. */
static int check_names(const struct job *j, struct err *e)
{
	const struct rootfs *r = j->rootfs;

	for (uint32_t i = 0; i != ROOTFS_NONE; i = rootfs_next(r, i)) {
		const char *name = r->text.data + r->node[i].name;
		size_t len = strlen(name);
		if (len > NAME_MAX)
			return err_set(
			    e, "%s: the file name %.64s... has %zu bytes, more than %d",
			    j->image, name, len, NAME_MAX);
	}
	return 0;
}

int job_prepare(struct job *j, struct err *e)
{
	int result = add_points(j, e);

	if (j->tree != NULL && result == 0)
		result = make_absolute(&j->tree, e);
	for (size_t i = 0; i < j->n_binds && result == 0; i++)
		result = make_absolute(&j->bind[i].from, e);
	if (result < 0)
		return -1;
	rootfs_sort(j->rootfs);
	return check_names(j, e);
}

void job_release(struct job *j)
{
	for (size_t i = 0; i < j->n_binds; i++)
		free(j->bind[i].from);
	free(j->bind);
	free(j->tree);
	buf_release(&j->script);
}

/* --- the run --- */

/* Copies available output of the script to stderr. Returns whether more may follow. */
static bool pass_output(int fd)
{
	char text[65536];
	ssize_t n = read(fd, text, sizeof text);

	if (n <= 0)
		return n < 0 && errno == EINTR;
	/* This fails if stderr is closed. The script continues. */
	(void)io_write(STDERR_FILENO, text, (size_t)n);
	return true;
}

/* The time to wait in ms. Returns 0 and a reason if the time is over. */
static int patience(const struct job *j, const struct job_run *r, const struct report *t,
		    struct err *e)
{
	enum { LONG = 1000000 };
	int64_t now = job_clock(), left = r->end >= 0 ? r->end - now : LONG;

	if (left <= 0) {
		err_set(e, "%s: timed out after %" PRIu64 " s", j->script_name,
			j->timeout);
		return 0;
	}
	if (r->hello > 0 && !t->has_hello) {
		if (r->hello <= now) {
			err_set(e, "the guest did not start");
			return 0;
		}
		left = r->hello - now < left ? r->hello - now : left;
	}
	return left < LONG ? (int)left : LONG;
}

/*
 * Reads and parses available lines. Returns 1 if more may follow, 0 at the end, or -1 and
 * a reason.
 */
static int read_report(int fd, struct report *t, struct err *e)
{
	char text[4096];
	ssize_t n = read(fd, text, sizeof text);

	if (n < 0)
		return errno == EINTR;
	return n == 0 ? 0 : report_parse(t, text, (size_t)n, e) < 0 ? -1 : 1;
}

int job_listen(const struct job *j, const struct job_run *r, struct report *t,
	       struct err *e)
{
	struct pollfd fds[2] = {{.fd = r->control, .events = POLLIN},
				{.fd = r->output, .events = POLLIN}};

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		int left = patience(j, r, t, e), more;
		if (left == 0)
			return -1;
		if (poll(fds, 2, left) <= 0)
			continue;
		if (fds[1].revents != 0 && !pass_output(r->output))
			fds[1].fd = -1;
		if (fds[0].revents == 0)
			continue;
		more = read_report(r->control, t, e);
		if (more < 0)
			return -1;
		if (more == 0)
			fds[0].fd = -1;
	}
	return 0;
}
