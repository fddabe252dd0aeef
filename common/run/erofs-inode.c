#include "run/erofs.h"

#include "archive/xattrs.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "image/rootfs.h"
#include "run/erofs-private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DIRENT = 12 };

static const struct prefix {
	const char *text;
	uint8_t index;
} prefixes[] = {
    {"user.", 1},
    {"system.posix_acl_access", 2},
    {"system.posix_acl_default", 3},
    {"trusted.", 4},
    {"security.", 6},
    {0},
};

static void add_attribute(struct buf *out, const struct xattr *x)
{
	const struct prefix *p = prefixes;

	while (p->text != NULL && strncmp(x->name, p->text, strlen(p->text)) != 0)
		p++;
	if (p->text == NULL || xattrs_is_overlay(x->name))
		return;
	const char *name = x->name + strlen(p->text);
	uint16_t len = (uint16_t)x->len;
	buf_addch(out, (char)strlen(name));
	buf_addch(out, (char)p->index);
	buf_add(out, &len, sizeof len);
	buf_addstr(out, name);
	buf_add(out, x->value, len);
	buf_add(out, "\0\0\0", -out->len & 3);
}

int erofs_attributes(const struct erofs *d, const struct rootfs_inode *inode,
		     struct buf *out)
{
	const struct rootfs_common *common = rootfs_common(d->r, inode);
	const char *p = d->r->text.data + common->xattrs;
	size_t len = common->xattrs_len;
	struct xattr x;

	buf_clear(out);
	while (xattrs_next(&p, &len, &x)) {
		if (x.len > UINT16_MAX)
			return err_set(d->e, "the attribute %s has %zu bytes", x.name,
				       x.len);
		if (out->len == 0)
			buf_add(out, (char[EROFS_BODY]){0}, EROFS_BODY);
		add_attribute(out, &x);
	}
	if (out->len == EROFS_BODY)
		buf_clear(out);
	return 0;
}

struct name {
	const char *text;
	uint32_t inode;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* Lists a directory with "." and "..", sorted by bytes. The caller must free the list. */
static struct name *list_directory(const struct erofs *d, uint32_t node, size_t *n)
{
	const struct rootfs *r = d->r;
	struct name *names = NULL;
	size_t cap = 0;
	uint32_t self = r->node[node].inode;

	*n = 2;
	names = mem_grow(names, &cap, 2, sizeof *names);
	names[0] = (struct name){".", self};
	names[1] = (struct name){"..", d->spot[self].parent};
	for (uint32_t c = rootfs_inode(r, node)->child; c != ROOTFS_NONE;
	     c = r->node[c].sibling) {
		names = mem_grow(names, &cap, *n + 1, sizeof *names);
		names[(*n)++] =
		    (struct name){r->text.data + r->node[c].name, r->node[c].inode};
	}
	qsort(names, *n, sizeof *names, compare_names);
	return names;
}

static uint8_t file_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFCHR:
		return 3;
	case S_IFBLK:
		return 4;
	case S_IFIFO:
		return 5;
	case S_IFLNK:
		return 7;
	default:
		return 0;
	}
}

/* The number of names that fit into one block. */
static size_t count_fitting(const struct name *names, size_t n)
{
	size_t used = 0, i = 0;

	for (; i < n; i++) {
		used += DIRENT + strlen(names[i].text);
		if (used > EROFS_BLOCK)
			break;
	}
	return i;
}

static void add_entries(const struct erofs *d, struct buf *out, const struct name *names,
			size_t n)
{
	uint16_t name_at = (uint16_t)(n * DIRENT);

	for (size_t i = 0; i < n; i++) {
		const struct rootfs_inode *inode = &d->r->inode[names[i].inode];
		mode_t mode = rootfs_common(d->r, inode)->mode;
		buf_add(out, &d->spot[names[i].inode].number, 8);
		buf_add(out, &name_at, sizeof name_at);
		buf_addch(out, (char)file_type(mode));
		buf_addch(out, 0);
		name_at = (uint16_t)(name_at + strlen(names[i].text));
	}
	for (size_t i = 0; i < n; i++)
		buf_addstr(out, names[i].text);
}

void erofs_directory(const struct erofs *d, uint32_t node, struct buf *out)
{
	size_t n, done = 0;
	struct name *names = list_directory(d, node, &n);

	buf_clear(out);
	while (done < n) {
		size_t some = count_fitting(names + done, n - done);
		if (done > 0)
			buf_add(out, (char[EROFS_BLOCK]){0},
				-out->len & (EROFS_BLOCK - 1));
		add_entries(d, out, names + done, some);
		done += some;
	}
	free(names);
}
