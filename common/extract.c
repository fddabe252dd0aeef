#include "extract.h"

#include "buf.h"
#include "err.h"
#include "io.h"
#include "mem.h"
#include "rootfs.h"
#include "xattrs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

struct extraction {
	const struct rootfs *r;
	int top, fd; /* the tree's folder; the one of node `in` */
	uint32_t in;
	uint32_t *first; /* by inode: the node that it was made as, or 0 */
	struct buf path, link;
	struct err *e;
};

static int failed(struct extraction *x, uint32_t node)
{
	int why = errno;

	buf_clear(&x->path);
	rootfs_path(x->r, node, &x->path);
	errno = why;
	return err_set_errno(x->e, "%s", x->path.len > 0 ? x->path.data : "/");
}

static const char *name_of(const struct extraction *x, uint32_t node)
{
	return x->r->text.data + x->r->node[node].name;
}

/* Sets what a file is made without; `fd` is its own, or its name is in x->fd. */
static int set_attributes(struct extraction *x, uint32_t node, int fd)
{
	const struct rootfs_inode *inode = rootfs_inode(x->r, node);
	const char *name = fd < 0 ? name_of(x, node) : "";
	int at = fd < 0 ? x->fd : fd,
	    flags = fd < 0 ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH;
	const char *p = x->r->text.data + inode->xattrs;
	size_t len = inode->xattrs_len;
	char path[NAME_MAX + 64];
	struct xattr xattr;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
				    {.tv_sec = inode->mtime, .tv_nsec = inode->nsec}};

	if (inode->uid >= UINT32_MAX || inode->gid >= UINT32_MAX)
		errno = EINVAL;
	if (inode->uid >= UINT32_MAX || inode->gid >= UINT32_MAX ||
	    fchownat(at, name, (uid_t)inode->uid, (gid_t)inode->gid, flags) < 0) {
		failed(x, node);
		return err_set(x->e,
			       "%s: its owner %" PRIu64 ":%" PRIu64
			       " cannot be set here, in a user namespace",
			       x->path.data, inode->uid, inode->gid);
	}
	if (fd >= 0
		? fchmod(fd, inode->mode & 07777) < 0
		: !S_ISLNK(inode->mode) && fchmodat(at, name, inode->mode & 07777, 0) < 0)
		return failed(x, node);
	snprintf(path, sizeof path, "/proc/self/fd/%d%s%s", at, fd < 0 ? "/" : "", name);
	while (xattrs_next(&p, &len, &xattr)) {
		if (xattrs_is_overlay(xattr.name))
			continue;
		if ((fd < 0 ? lsetxattr : setxattr)(path, xattr.name, xattr.value,
						    xattr.len, 0) < 0) {
			int why = errno;
			failed(x, node);
			return err_set(x->e, "%s: its attribute %s cannot be set: %s",
				       x->path.data, xattr.name, strerror(why));
		}
	}
	if (fd >= 0 ? futimens(fd, times) < 0
		    : utimensat(at, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(x, node);
	return 0;
}

static int make_file(struct extraction *x, uint32_t node)
{
	const struct rootfs_inode *inode = rootfs_inode(x->r, node);
	off_t offset = inode->offset;
	int fd = openat(x->fd, name_of(x, node),
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return failed(x, node);
	int64_t n = inode->size > 0 ? io_copy(inode->fd, &offset, fd, inode->size) : 0;
	int result = n < 0 ? failed(x, node) : 0;
	if (result == 0 && (uint64_t)n != inode->size)
		result = err_set(x->e, "the contents of a file are cut off");
	if (result == 0)
		result = set_attributes(x, node, fd);
	close(fd);
	return result;
}

/* A device, a FIFO or a symlink. */
static int make_other(struct extraction *x, uint32_t node)
{
	const struct rootfs_inode *inode = rootfs_inode(x->r, node);
	const char *name = name_of(x, node);
	int result;

	if (S_ISLNK(inode->mode))
		result = symlinkat(x->r->text.data + inode->link, x->fd, name);
	else
		result = mknodat(x->fd, name, inode->mode & ~07777u,
				 makedev(inode->major, inode->minor));
	if (result == 0)
		return set_attributes(x, node, -1);
	if (errno == EPERM && (S_ISCHR(inode->mode) || S_ISBLK(inode->mode))) {
		failed(x, node);
		if (strncmp(x->path.data, "dev/", 4) == 0)
			return 0;
		return err_set(x->e, "%s: a device cannot be made in a user namespace",
			       x->path.data);
	}
	return failed(x, node);
}

static int make_link(struct extraction *x, uint32_t node, uint32_t first)
{
	buf_clear(&x->link);
	rootfs_path(x->r, first, &x->link);
	if (linkat(x->top, x->link.data, x->fd, name_of(x, node), 0) < 0)
		return failed(x, node);
	return 0;
}

/* Leaves the folder, which is whole now. */
static int leave_folder(struct extraction *x)
{
	int up =
	    x->in == 0 ? -1 : openat(x->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (x->in != 0 && up < 0)
		return failed(x, x->in);
	int result = set_attributes(x, x->in, x->fd);
	close(x->fd);
	x->fd = up;
	x->in = x->r->node[x->in].parent;
	return result;
}

static int enter_folder(struct extraction *x, uint32_t node)
{
	const char *name = name_of(x, node);
	int fd = -1;

	if (mkdirat(x->fd, name, 0700) == 0)
		fd = openat(x->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return failed(x, node);
	close(x->fd);
	x->fd = fd;
	x->in = node;
	return 0;
}

static int make_node(struct extraction *x, uint32_t node)
{
	const struct rootfs_inode *inode = rootfs_inode(x->r, node);
	uint32_t *first = &x->first[x->r->node[node].inode];

	while (x->in != x->r->node[node].parent)
		if (leave_folder(x) < 0)
			return -1;
	if (S_ISDIR(inode->mode))
		return enter_folder(x, node);
	if (*first != 0)
		return make_link(x, node, *first);
	*first = node;
	return S_ISREG(inode->mode) ? make_file(x, node) : make_other(x, node);
}

int extract_tree(const struct rootfs *r, int fd, struct err *e)
{
	struct extraction x = {.r = r, .top = fd, .e = e};
	int result = 0;

	x.fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x.fd < 0)
		return failed(&x, 0);
	x.first = mem_zero(r->n_inodes, sizeof *x.first);
	for (size_t i = 1; i < r->n_order && result == 0; i++)
		result = make_node(&x, r->order[i]);
	while (result == 0 && x.in != ROOTFS_NONE)
		result = leave_folder(&x);
	if (x.fd >= 0)
		close(x.fd);
	free(x.first);
	buf_release(&x.path);
	buf_release(&x.link);
	return result;
}
