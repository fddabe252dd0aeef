/*
 * The erofs disk of an image's tree, prepared for a run. The input is a layer. A reader
 * of the format finds the same tree on the disk: names in order, types, owners, modes,
 * times, links, extended attributes and contents, each within the disk.
 */
#include "run/erofs.h"

#include "archive/xattrs.h"
#include "archive/unpack.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "image/rootfs.h"
#include "run/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 4096, SLOT = 32, INODE = 64, DIRENT = 12, CONTENTS_MAX = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct disk {
	const struct rootfs *r;
	struct buf bytes;
};

/* An inode on the disk. */
struct found {
	uint64_t number, size;
	size_t at, body,
	    xattrs; /* offsets of it, of what follows it; size of attributes */
	uint32_t mode, where, links;
	uint8_t layout;
};

static const uint8_t *span(const struct disk *d, uint64_t at, uint64_t len)
{
	if (at > d->bytes.len || len > d->bytes.len - at)
		abort();
	return (const uint8_t *)d->bytes.data + at;
}

static uint64_t number(const uint8_t *p, size_t bytes)
{
	uint64_t n = 0;

	while (bytes-- > 0)
		n = n << 8 | p[bytes];
	return n;
}

static struct found find(const struct disk *d, uint64_t nid)
{
	const uint8_t *p = span(d, nid * SLOT, INODE);
	uint64_t format = number(p, 2), xattrs = number(p + 2, 2);

	if ((format & 1) != 1 || format >> 4 != 0)
		abort();
	struct found f = {
	    .number = nid,
	    .at = nid * SLOT,
	    .xattrs = xattrs > 0 ? 12 + (xattrs - 1) * 4 : 0,
	    .mode = (uint32_t)number(p + 4, 2),
	    .size = number(p + 8, 8),
	    .where = (uint32_t)number(p + 16, 4),
	    .links = (uint32_t)number(p + 44, 4),
	    .layout = (uint8_t)(format >> 1),
	};
	f.body = f.at + INODE + f.xattrs;
	(void)span(d, f.body, 0);
	return f;
}

/* Contents are in blocks of their own, or behind the inode in the same block. */
static const uint8_t *contents(const struct disk *d, const struct found *f)
{
	if (f->size == 0)
		return NULL;
	if (f->layout == 0)
		return span(d, (uint64_t)f->where * BLOCK, f->size);
	if (f->layout != 2 || f->size > BLOCK ||
	    f->body / BLOCK != (f->body + f->size - 1) / BLOCK)
		abort();
	return span(d, f->body, f->size);
}

/* --- extended attributes --- */

/* The next attribute of the tree that the format can have. */
static bool next_attribute(const char **p, size_t *len, struct xattr *x)
{
	static const char *const kinds[] = {"user.", "system.posix_acl_access",
					    "system.posix_acl_default", "trusted.",
					    "security."};

	while (xattrs_next(p, len, x))
		for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
			if (!xattrs_is_overlay(x->name) &&
			    strncmp(x->name, kinds[i], strlen(kinds[i])) == 0)
				return true;
	return false;
}

static void check_attributes(const struct disk *d, const struct found *f,
			     const struct rootfs_inode *inode)
{
	static const char *const prefix[] = {"",
					     "user.",
					     "system.posix_acl_access",
					     "system.posix_acl_default",
					     "trusted.",
					     "",
					     "security."};
	const struct rootfs_common *common = rootfs_common(d->r, inode);
	const char *records = d->r->text.data + common->xattrs;
	size_t left = common->xattrs_len;
	uint64_t at = f->at + INODE + 12;
	struct xattr x;

	while (next_attribute(&records, &left, &x)) {
		const uint8_t *p = span(d, at, 4);
		size_t name = p[0], kind = p[1], value = (size_t)number(p + 2, 2);
		if (kind >= sizeof prefix / sizeof *prefix)
			abort();
		size_t before = strlen(prefix[kind]);
		p = span(d, at + 4, name + value);
		if (value != x.len || strlen(x.name) != before + name ||
		    memcmp(x.name, prefix[kind], before) != 0 ||
		    memcmp(x.name + before, p, name) != 0 ||
		    memcmp(x.value, p + name, value) != 0)
			abort();
		at += (4 + name + value + 3) & ~(uint64_t)3;
	}
	if (f->xattrs > 0 ? at != f->body : at != f->at + INODE + 12)
		abort();
}

/* --- files --- */

static void check_bytes(const struct disk *d, const struct found *f,
			const struct rootfs_inode *inode)
{
	const uint8_t *bytes = contents(d, f);
	off_t offset;
	int fd = rootfs_open(d->r, inode, &offset);
	char *want = mem_zero(f->size + 1, 1);
	ssize_t n = io_pread(fd, want, f->size, offset);

	rootfs_close(d->r, inode, fd, n);
	if (n != (ssize_t)f->size || (n > 0 && memcmp(want, bytes, f->size) != 0))
		abort();
	free(want);
}

static void check_inode(const struct disk *d, const struct found *f,
			const struct rootfs_inode *inode)
{
	const uint8_t *p = span(d, f->at, INODE);
	const struct rootfs_common *common = rootfs_common(d->r, inode);

	if (f->mode != common->mode || number(p + 24, 4) != common->uid ||
	    number(p + 28, 4) != common->gid ||
	    number(p + 32, 8) != (uint64_t)common->mtime ||
	    number(p + 40, 4) != common->nsec)
		abort();
	if (!S_ISDIR(f->mode) && f->links != inode->names)
		abort();
	check_attributes(d, f, inode);
	if (S_ISREG(f->mode)) {
		if (f->size != inode->size)
			abort();
		check_bytes(d, f, inode);
	} else if (S_ISLNK(f->mode)) {
		const char *link = d->r->text.data + inode->link;
		if (f->size != strlen(link) ||
		    (f->size > 0 && memcmp(link, contents(d, f), f->size) != 0))
			abort();
	} else if (!S_ISDIR(f->mode) && f->size != 0) {
		abort();
	}
}

/* --- directories --- */

static uint8_t type_of(uint32_t mode)
{
	static const uint32_t types[] = {0,       S_IFREG, S_IFDIR, S_IFCHR,
					 S_IFBLK, S_IFIFO, 0,       S_IFLNK};

	for (size_t i = 1; i < sizeof types / sizeof *types; i++)
		if ((mode & S_IFMT) == types[i])
			return (uint8_t)i;
	abort();
}

static void check_node(const struct disk *d, uint32_t node, uint64_t nid, uint64_t up);

/* An entry of a directory: "." and "..", or a child of the node. */
static void check_entry(const struct disk *d, uint32_t node, const struct found *f,
			uint64_t up, const char *name, size_t len, const uint8_t *entry)
{
	uint64_t nid = number(entry, 8);
	struct found to = find(d, nid);

	if (entry[10] != type_of(to.mode) || len == 0 || len > 255)
		abort();
	if (len == 1 && name[0] == '.') {
		if (nid != f->number)
			abort();
	} else if (len == 2 && memcmp(name, "..", 2) == 0) {
		if (nid != up)
			abort();
	} else {
		uint32_t child = rootfs_child(d->r, node, name, len);
		if (child == ROOTFS_NONE)
			abort();
		check_node(d, child, nid, f->number);
	}
}

/* The entries of one block. Their names are greater than `last`. Returns how many. */
static size_t check_block(const struct disk *d, uint32_t node, const struct found *f,
			  uint64_t up, const uint8_t *p, size_t len, struct buf *last)
{
	size_t n = len >= DIRENT ? (size_t)number(p + 8, 2) / DIRENT : 0;

	if (n == 0 || number(p + 8, 2) % DIRENT != 0 || n * DIRENT > len)
		abort();
	for (size_t i = 0; i < n; i++) {
		const uint8_t *entry = p + i * DIRENT;
		size_t from = (size_t)number(entry + 8, 2);
		size_t to = i + 1 < n ? (size_t)number(entry + DIRENT + 8, 2) : len;
		if (from > to || to > len)
			abort();
		char *name = mem_strndup((const char *)p + from, to - from);
		if (last->len > 0 && strcmp(last->data, name) >= 0)
			abort();
		buf_clear(last);
		buf_addstr(last, name);
		check_entry(d, node, f, up, name, strlen(name), entry);
		free(name);
	}
	return n;
}

static void check_directory(const struct disk *d, uint32_t node, const struct found *f,
			    uint64_t up)
{
	const uint8_t *p = contents(d, f);
	struct buf last = {0};
	size_t n = 0, children = 2;

	for (uint64_t at = 0; at < f->size; at += BLOCK) {
		uint64_t left = f->size - at;
		n += check_block(d, node, f, up, p + at,
				 (size_t)(left < BLOCK ? left : BLOCK), &last);
	}
	for (uint32_t c = rootfs_inode(d->r, node)->child; c != ROOTFS_NONE;
	     c = d->r->node[c].sibling)
		children++;
	if (n != children)
		abort();
	buf_release(&last);
}

static void check_node(const struct disk *d, uint32_t node, uint64_t nid, uint64_t up)
{
	struct found f = find(d, nid);

	check_inode(d, &f, rootfs_inode(d->r, node));
	if (S_ISDIR(f.mode))
		check_directory(d, node, &f, up);
}

static void check_disk(const struct rootfs *r, int fd)
{
	struct disk d = {.r = r};

	if (lseek(fd, 0, SEEK_SET) < 0 || io_slurp(fd, &d.bytes, SIZE_MAX / 2) < 0)
		abort();
	const uint8_t *super = span(&d, 1024, 128);
	uint64_t root = number(super + 14, 2);
	if (number(super, 4) != 0xe0f5e1e2 || number(super + 16, 8) != r->n_inodes ||
	    number(super + 36, 4) * BLOCK != d.bytes.len)
		abort();
	check_node(&d, 0, root, root);
	buf_release(&d.bytes);
}

/* Adds empty files to a directory that needs several blocks, if there are enough. */
static void add_many(struct rootfs *r, size_t n)
{
	char path[256];
	struct err e;

	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof path, "many/%0200zu", i);
		(void)rootfs_add_empty(r, path, S_IFREG | 0644, &e);
	}
}

/* A sparse file may have too many bytes for a check of each input. */
static bool is_small(const struct rootfs *r)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < r->n_inodes && sum < CONTENTS_MAX; i++) {
		uint64_t bytes = rootfs_size(r, &r->inode[i]);
		sum += bytes < CONTENTS_MAX ? bytes : CONTENTS_MAX;
	}
	return sum < CONTENTS_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rootfs r;
	struct job job = {.rootfs = &r, .image = "image", .script_name = "script"};
	struct err e;
	int layer = memfd_create("layer", MFD_CLOEXEC),
	    fd = memfd_create("disk", MFD_CLOEXEC);

	if (layer < 0 || fd < 0 || io_write(layer, data, size) < 0)
		return 1;
	unpack_limit(64 << 20); /* for each input */
	rootfs_init(&r);
	int result = rootfs_add_layer(&r, layer, 0, size, "layer", &e);
	add_many(&r, size > 0 ? data[0] % 64 : 0);
	if (result == 0 && is_small(&r) && job_prepare(&job, &e) == 0) {
		struct erofs *d = erofs_place(&r, fd, &e);
		if (d != NULL) {
			if (erofs_fill(d, &e) < 0)
				abort();
			check_disk(&r, fd);
		}
		erofs_release(d);
	}
	job_release(&job);
	rootfs_release(&r);
	close(layer);
	close(fd);
	return 0;
}
