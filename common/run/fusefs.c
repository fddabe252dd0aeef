#include "run/fusefs.h"

#include "archive/xattrs.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "image/rootfs.h"

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The timeout for cached entries, in seconds. The tree never changes. */
static const double forever = 1e9;

/* Directory offsets: after "..", and the offset of node 0. */
enum { DOTS = 2, NODES };

/* The first error in reading a file's contents. It is in shared memory. */
struct fusefs_fault {
	_Atomic int error; /* errno, or 0 */
	uint32_t node;     /* the file */
};

/*
 * FUSE's number of a file is the index of its inode plus 1, because the root must be 1.
 */
struct service {
	const struct rootfs *r;
	struct fusefs_fault *fault;
	uint32_t *node; /* by inode: one of its nodes */
	bool has_xattrs;
	char *contents; /* buffer for a reply */
	size_t cap;
};

static struct service *service_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static const struct rootfs_inode *inode_of(fuse_req_t req, fuse_ino_t ino)
{
	return &service_of(req)->r->inode[ino - FUSE_ROOT_ID];
}

static uint32_t node_of(fuse_req_t req, fuse_ino_t ino)
{
	return service_of(req)->node[ino - FUSE_ROOT_ID];
}

/* --- status --- */

static void get_status(const struct rootfs *r, uint32_t number, struct stat *st)
{
	const struct rootfs_inode *inode = &r->inode[number];
	const struct rootfs_common *common = rootfs_common(r, inode);

	*st = (struct stat){
	    .st_ino = number + FUSE_ROOT_ID,
	    .st_mode = common->mode,
	    .st_nlink = S_ISDIR(common->mode) ? 2 : inode->names,
	    .st_uid = (uid_t)common->uid,
	    .st_gid = (gid_t)common->gid,
	    .st_rdev = rootfs_rdev(r, inode),
	    .st_size = S_ISLNK(common->mode) ? (off_t)strlen(r->text.data + inode->link)
					     : (off_t)rootfs_size(r, inode),
	    .st_mtim = {.tv_sec = common->mtime, .tv_nsec = common->nsec},
	};
	st->st_blocks = (st->st_size + 511) / 512;
	st->st_atim = st->st_ctim = st->st_mtim;
}

static struct fuse_entry_param make_entry(const struct rootfs *r, uint32_t node)
{
	struct fuse_entry_param entry = {.attr_timeout = forever,
					 .entry_timeout = forever};

	if (node == ROOTFS_NONE) /* inode number 0: no such file */
		return entry;
	get_status(r, r->node[node].inode, &entry.attr);
	entry.ino = entry.attr.st_ino;
	return entry;
}

static void serve_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct rootfs *r = service_of(req)->r;
	uint32_t node = rootfs_child(r, node_of(req, parent), name, strlen(name));
	struct fuse_entry_param entry = make_entry(r, node);

	fuse_reply_entry(req, &entry);
}

static void serve_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	get_status(service_of(req)->r, (uint32_t)(ino - FUSE_ROOT_ID), &st);
	fuse_reply_attr(req, &st, forever);
}

static void serve_readlink(fuse_req_t req, fuse_ino_t ino)
{
	fuse_reply_readlink(req,
			    service_of(req)->r->text.data + inode_of(req, ino)->link);
}

/* --- extended attributes --- */

static void reply_text(fuse_req_t req, const char *text, size_t len, size_t size)
{
	if (size == 0)
		fuse_reply_xattr(req, len);
	else if (len > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, text, len);
}

/*
 * Whether any file has extended attributes. If not, ENOSYS makes the kernel stop asking.
 * overlayfs would ask for some of them for every file.
 */
static bool has_xattrs(fuse_req_t req)
{
	bool result = service_of(req)->has_xattrs;

	if (!result)
		fuse_reply_err(req, ENOSYS);
	return result;
}

static void serve_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	const struct rootfs *r = service_of(req)->r;
	const struct rootfs_common *common = rootfs_common(r, inode_of(req, ino));
	const char *p = r->text.data + common->xattrs;
	size_t len = common->xattrs_len;
	struct xattr xattr;
	struct buf names = {0};

	if (!has_xattrs(req))
		return;
	while (xattrs_next(&p, &len, &xattr))
		if (!xattrs_is_overlay(xattr.name))
			buf_add(&names, xattr.name, strlen(xattr.name) + 1);
	reply_text(req, names.data, names.len, size);
	buf_release(&names);
}

static void serve_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	const struct rootfs *r = service_of(req)->r;
	const struct rootfs_common *common = rootfs_common(r, inode_of(req, ino));
	const char *p = r->text.data + common->xattrs;
	size_t len = common->xattrs_len;
	struct xattr xattr;

	if (!has_xattrs(req))
		return;
	while (!xattrs_is_overlay(name) && xattrs_next(&p, &len, &xattr)) {
		if (strcmp(xattr.name, name) == 0) {
			reply_text(req, xattr.value, xattr.len, size);
			return;
		}
	}
	fuse_reply_err(req, ENODATA);
}

/* --- contents --- */

/* ENOSYS makes the kernel open files itself, and keep their contents in its cache. */
static void serve_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	fuse_reply_err(req, ENOSYS);
}

static void serve_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	struct service *s = service_of(req);
	const struct rootfs_inode *inode = inode_of(req, ino);
	uint64_t left =
	    (uint64_t)offset < inode->size ? inode->size - (uint64_t)offset : 0;
	size_t want = left < size ? (size_t)left : size;

	(void)fi;
	s->contents = mem_grow(s->contents, &s->cap, want, 1);
	off_t start;
	int fd = rootfs_open(s->r, inode, &start);
	ssize_t n = io_pread(fd, s->contents, want, start + offset);
	if (n == (ssize_t)want) {
		fuse_reply_buf(req, s->contents, want);
		return;
	}
	/* The kernel would fill the rest of a short reply with zeroes. */
	int error = n < 0 ? errno : EIO;
	if (s->fault->error == 0) {
		s->fault->node = node_of(req, ino);
		s->fault->error = error;
	}
	fuse_reply_err(req, error);
}

/* The node at this offset of a directory, or ROOTFS_NONE. */
static uint32_t node_at(const struct rootfs *r, uint32_t directory, off_t offset)
{
	return offset == DOTS ? rootfs_inode(r, directory)->child
			      : r->node[offset - NODES].sibling;
}

static void serve_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			      struct fuse_file_info *fi)
{
	const struct rootfs *r = service_of(req)->r;
	uint32_t directory = node_of(req, ino), node = ROOTFS_NONE;
	char *text = mem_resize(NULL, size, 1);
	size_t len = 0, need = 0;

	(void)fi;
	for (;; len += need) {
		const char *name = offset == 0 ? "." : "..";
		/*
		 * Without an inode number, the kernel does not create entries for "." and
		 * "..".
		 */
		struct fuse_entry_param entry = {
		    .attr = {.st_ino = ino, .st_mode = S_IFDIR}};
		off_t next = offset + 1;
		if (offset >= DOTS) {
			node = node_at(r, directory, offset);
			if (node == ROOTFS_NONE)
				break;
			name = r->text.data + r->node[node].name;
			entry = make_entry(r, node);
			next = (off_t)node + NODES;
		}
		need = fuse_add_direntry_plus(req, text + len, size - len, name, &entry,
					      next);
		if (need > size - len)
			break;
		offset = next;
	}
	fuse_reply_buf(req, text, len);
	free(text);
}

/* --- the process --- */

static void start(void *userdata, struct fuse_conn_info *conn)
{
	const unsigned wanted = FUSE_CAP_READDIRPLUS | FUSE_CAP_POSIX_ACL |
				FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_NO_OPEN_SUPPORT |
				FUSE_CAP_NO_OPENDIR_SUPPORT;

	(void)userdata;
	/* Always send the status of files together with a directory's names. */
	conn->want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;
	conn->want |= wanted & conn->capable;
	conn->max_background = 64;
	conn->congestion_threshold = 64;
}

static const struct fuse_lowlevel_ops operations = {
    .init = start,
    .lookup = serve_lookup,
    .getattr = serve_getattr,
    .readlink = serve_readlink,
    .listxattr = serve_listxattr,
    .getxattr = serve_getxattr,
    .open = serve_open,
    .opendir = serve_open,
    .read = serve_read,
    .readdirplus = serve_readdirplus,
};

/*
 * Without its reply, a program would wait forever for the kernel. The end of this process
 * ends all requests.
 */
static ssize_t send_reply(int fd, struct iovec *iov, int count, void *userdata)
{
	ssize_t n = writev(fd, iov, count);

	(void)userdata;
	if (n < 0 && errno != ENOENT) /* ENOENT: the request was interrupted */
		leave(1);
	return n;
}

/* libfuse would print messages. The process that waits for the server reports its end. */
static ssize_t receive_request(int fd, void *data, size_t size, void *userdata)
{
	ssize_t n = read(fd, data, size);

	(void)userdata;
	/* ENOENT: the request was interrupted. ENODEV: the file system was unmounted. */
	if (n == 0 || (n < 0 && errno != ENOENT && errno != ENODEV && errno != EINTR &&
		       errno != EAGAIN))
		leave(1);
	return n;
}

static const struct fuse_custom_io device = {
    .writev = send_reply,
    .read = receive_request,
};

static _Noreturn void serve(const struct rootfs *r, struct fusefs_fault *fault, int fd)
{
	char name[] = "dt", *words[] = {name, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, words);
	struct service s = {.r = r, .fault = fault};

	s.node = mem_resize(NULL, r->n_inodes, sizeof *s.node);
	for (size_t i = 0; i < r->n; i++)
		if (r->node[i].inode != ROOTFS_NONE)
			s.node[r->node[i].inode] = (uint32_t)i;
	for (size_t i = 0; i < r->n_common; i++)
		s.has_xattrs = s.has_xattrs || r->common[i].xattrs_len > 0;
	struct fuse_session *session =
	    fuse_session_new(&args, &operations, sizeof operations, &s);
	if (session == NULL || fuse_session_custom_io(session, &device, fd) < 0)
		leave(1);
	leave(fuse_session_loop(session) < 0);
}

int fusefs_mount(struct fusefs *l, const struct rootfs *r, const char *at, struct err *e)
{
	char options[128];

	*l = (struct fusefs){.r = r};
	l->fault = mmap(NULL, sizeof *l->fault, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (l->fault == MAP_FAILED)
		return err_set_errno(e, "shared memory");
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, "/dev/fuse: %s; load the kernel's module fuse",
			       strerror(errno));
	snprintf(options, sizeof options,
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,"
		 "default_permissions",
		 fd);
	if (mount("dt", at, "fuse.dt", MS_RDONLY | MS_NOATIME, options) < 0) {
		close(fd);
		return err_set_errno(e, "mounting by FUSE");
	}
	l->pid = spawn_fork();
	if (l->pid == 0)
		serve(r, l->fault, fd);
	close(fd);
	return l->pid < 0 ? err_set_errno(e, "fork") : 0;
}

int fusefs_check(const struct fusefs *l, struct err *e)
{
	struct buf path = {0};

	if (l->fault->error != 0) {
		rootfs_path(l->r, l->fault->node, &path);
		err_set(e, "/%s: reading it from the image: %s", path.data,
			strerror(l->fault->error));
		buf_release(&path);
		return -1;
	}
	if (waitpid(l->pid, NULL, WNOHANG) != 0)
		return err_set(e, "the process that serves the image was killed");
	return 0;
}
