#include "run/userns.h"

#include "archive/xattrs.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/num.h"
#include "base/spawn.h"
#include "image/rootfs.h"
#include "run/userns-private.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* --- the user namespace --- */

/* Finds the first range of IDs of this user in a file like /etc/subuid. */
static bool find_range(const char *file, uid_t uid, char *start, char *count, size_t size)
{
	const struct passwd *user = getpwuid(uid);
	struct buf text = {0};
	char id[16];
	bool found = false;

	snprintf(id, sizeof id, "%u", (unsigned)uid);
	if (io_slurp_file(file, &text, 1 << 20) < 0)
		buf_clear(&text);
	for (char *line = text.len > 0 ? text.data : NULL;
	     line != NULL && *line != '\0' && !found;) {
		char *end = line + strcspn(line, "\n"),
		     *next = *end != '\0' ? end + 1 : end;
		*end = '\0';
		char *first = strchr(line, ':');
		char *second = first != NULL ? strchr(first + 1, ':') : NULL;
		if (second != NULL) {
			*first++ = *second++ = '\0';
			found = strcmp(line, id) == 0 ||
				(user != NULL && strcmp(line, user->pw_name) == 0);
			snprintf(start, size, "%s", first);
			snprintf(count, size, "%s", second);
		}
		line = next;
	}
	buf_release(&text);
	return found;
}

/*
 * Maps IDs with newuidmap(1) and newgidmap(1). Runs in a child process, because they
 * cannot be run from inside the user namespace. A byte from `ready` means that the
 * namespace exists.
 */
static _Noreturn void map_by_helper(pid_t pid, uid_t uid, gid_t gid, int ready)
{
	char of[16], own_uid[16], own_gid[16], go;
	char start[2][32], count[2][32];
	struct err why;

	if (io_read(ready, &go, 1) != 1 ||
	    !find_range("/etc/subuid", uid, start[0], count[0], sizeof count[0]) ||
	    !find_range("/etc/subgid", uid, start[1], count[1], sizeof count[1]))
		leave(1);
	snprintf(of, sizeof of, "%d", (int)pid);
	snprintf(own_uid, sizeof own_uid, "%u", (unsigned)uid);
	snprintf(own_gid, sizeof own_gid, "%u", (unsigned)gid);
	const char *const uids[] = {"newuidmap", of,       "0",      own_uid, "1",
				    "1",         start[0], count[0], NULL};
	const char *const gids[] = {"newgidmap", of,       "0",      own_gid, "1",
				    "1",         start[1], count[1], NULL};
	leave(spawn_run(uids, -1, -1, NULL, 0, &why) < 0 ||
	      spawn_run(gids, -1, -1, NULL, 0, &why) < 0);
}

static int write_file(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	int result = fd >= 0 ? io_write(fd, text, strlen(text)) : -1;

	if (fd >= 0)
		close(fd);
	return result;
}

/* Maps only this user and group, to root. */
static int map_self(uid_t uid, gid_t gid)
{
	char map[64];

	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
	if (write_file("/proc/self/uid_map", map) < 0)
		return -1;
	snprintf(map, sizeof map, "0 %u 1", (unsigned)gid);
	return write_file("/proc/self/gid_map", map);
}

int userns_enter(struct err *e)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int ready[2], status = 1;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return err_set_errno(e, "cannot create a pipe");
	pid_t self = getpid(), pid = fork();
	if (pid == 0) {
		close(ready[1]);
		map_by_helper(self, uid, gid, ready[0]);
	}
	close(ready[0]);
	if (unshare(CLONE_NEWUSER) < 0) {
		close(ready[1]);
		return err_set_errno(e, "cannot set up a user namespace");
	}
	if (pid > 0 && io_write(ready[1], "g", 1) == 0)
		status = spawn_wait(pid);
	close(ready[1]);
	if (status != 0 && map_self(uid, gid) < 0)
		return err_set_errno(e, "cannot set up a user namespace");
	if (status == 0)
		setgroups(0, NULL);
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_set_errno(e, "cannot set up a user namespace");
	prctl(PR_SET_DUMPABLE, 1);
	return 0;
}

/* --- files that cannot be shown --- */

/* The IDs of this user namespace. Linux allows at most 340 ranges. */
struct ids {
	struct {
		uint64_t first, count;
	} range[340];
	size_t n;
};

/* Reads blanks and a number, and moves *p to what follows. Returns 0 or -1. */
static int read_number(const char **p, uint64_t *n)
{
	*p += strspn(*p, " ");
	size_t len = strspn(*p, "0123456789");
	int result = num_parse(*p, len, UINT32_MAX, n);

	*p += len;
	return result;
}

/* Parses a file like /proc/self/uid_map. */
static int read_ids(const char *file, struct ids *ids)
{
	struct buf map = {0};
	uint64_t first, outside, count;

	ids->n = 0;
	if (io_slurp_file(file, &map, 65536) < 0)
		return -1;
	for (const char *p = map.data;
	     p != NULL && ids->n < sizeof ids->range / sizeof *ids->range &&
	     read_number(&p, &first) == 0 && read_number(&p, &outside) == 0 &&
	     read_number(&p, &count) == 0 && *p == '\n';
	     p++) {
		ids->range[ids->n].first = first;
		ids->range[ids->n++].count = count;
	}
	buf_release(&map);
	return 0;
}

static bool has_id(const struct ids *ids, uint64_t id)
{
	for (size_t i = 0; i < ids->n; i++)
		if (id >= ids->range[i].first &&
		    id - ids->range[i].first < ids->range[i].count)
			return true;
	return false;
}

/* Checks that the overlay can show a file as it is in the image. */
static int check_file(const struct rootfs *r, const struct rootfs_inode *inode,
		      bool is_user_ns, const struct ids *uids, const struct ids *gids,
		      struct err *e)
{
	const struct rootfs_common *owner = rootfs_common(r, inode);
	const char *p = r->text.data + owner->xattrs;
	size_t len = owner->xattrs_len;
	struct xattr xattr;

	if (!has_id(uids, owner->uid) || !has_id(gids, owner->gid))
		return err_set(e,
			       "its owner %" PRIu64 ":%" PRIu64 " does not exist in this "
			       "user namespace; /etc/subuid and /etc/subgid can add it",
			       owner->uid, owner->gid);
	while (is_user_ns && xattrs_next(&p, &len, &xattr))
		if (strncmp(xattr.name, "trusted.", 8) == 0 &&
		    !xattrs_is_overlay(xattr.name))
			return err_set(e, "its attribute %s is not for user namespaces",
				       xattr.name);
	return 0;
}

int userns_check(const struct rootfs *r, bool is_user_ns, struct err *e)
{
	struct ids uids, gids;
	struct buf path = {0};
	int result = 0;

	if (read_ids("/proc/self/uid_map", &uids) < 0 ||
	    read_ids("/proc/self/gid_map", &gids) < 0)
		return err_set_errno(e, "/proc/self/uid_map");
	for (uint32_t i = 0; i != ROOTFS_NONE && result == 0; i = rootfs_next(r, i)) {
		result = check_file(r, rootfs_inode(r, i), is_user_ns, &uids, &gids, e);
		if (result == 0)
			continue;
		rootfs_path(r, i, &path);
		err_prefix(e, "%s", path.len > 0 ? path.data : "/");
	}
	buf_release(&path);
	return result;
}
