#include "image/rootfs.h"

#include "archive/path.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "image/rootfs-private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LINKS_MAX = 40 };

/* --- names --- */

uint32_t rootfs_find_clean(const struct rootfs *r, const char *path)
{
	uint32_t node = 0;

	for (const char *p = path; *p != '\0' && node != ROOTFS_NONE;) {
		size_t n = strcspn(p, "/");
		node = rootfs_child(r, node, p, n);
		p += n + (p[n] == '/');
	}
	return node;
}

uint32_t rootfs_find(const struct rootfs *r, const char *path)
{
	struct buf clean = {0};

	path_clean(path, &clean);
	uint32_t node = rootfs_find_clean(r, clean.data);
	buf_release(&clean);
	return node;
}

uint32_t rootfs_follow(const struct rootfs *r, const char *path)
{
	struct buf rest = {0}, next = {0};
	uint32_t node = 0;
	size_t links = 0, at = 0;

	buf_addstr(&rest, path);
	while (at < rest.len && node != ROOTFS_NONE && links <= LINKS_MAX) {
		const char *p = rest.data + at;
		size_t n = strcspn(p, "/");
		at += n + (p[n] == '/');
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			node = node != 0 ? r->node[node].parent : 0;
			continue;
		}
		if (n == 0 || (n == 1 && p[0] == '.'))
			continue;
		uint32_t child = rootfs_child(r, node, p, n);
		if (child != ROOTFS_NONE && S_ISLNK(rootfs_mode(r, child))) {
			const char *target = r->text.data + rootfs_inode(r, child)->link;
			buf_clear(&next);
			buf_addf(&next, "%s/%s", target, rest.data + at);
			buf_clear(&rest);
			buf_addstr(&rest, next.data);
			at = 0;
			links++;
			child = target[0] == '/' ? 0 : node;
		}
		node = child;
	}
	buf_release(&rest);
	buf_release(&next);
	return links <= LINKS_MAX ? node : ROOTFS_NONE;
}

void rootfs_path(const struct rootfs *r, uint32_t node, struct buf *out)
{
	size_t len = 0;

	for (uint32_t up = node; up != 0; up = r->node[up].parent)
		len += strlen(rootfs_name(r, up)) + (r->node[up].parent != 0);
	char *end = buf_reserve(out, len) + len;
	out->len += len;
	*end = '\0';
	for (uint32_t up = node; up != 0; up = r->node[up].parent) {
		size_t n = strlen(rootfs_name(r, up));
		end -= n;
		memcpy(end, rootfs_name(r, up), n);
		if (r->node[up].parent != 0)
			*--end = '/';
	}
}

/* --- order --- */

static int compare_names(const void *a, const void *b, void *r)
{
	return utf8_compare(rootfs_name(r, *(const uint32_t *)a),
			    rootfs_name(r, *(const uint32_t *)b));
}

/* Files come before directories, and both are in the order of their bytes. */
static int compare_list(const void *a, const void *b, void *r)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	bool is_directory = rootfs_is_directory(r, x);

	if (is_directory != rootfs_is_directory(r, y))
		return is_directory ? 1 : -1;
	return strcmp(rootfs_name(r, x), rootfs_name(r, y));
}

/* The children of a directory, while they are sorted. */
struct children {
	uint32_t *node;
	size_t n, cap;
};

static void sort_children(struct rootfs *r, uint32_t directory, struct children *c,
			  int (*compare)(const void *, const void *, void *))
{
	c->n = 0;
	for (uint32_t i = rootfs_first_child(r, directory); i != ROOTFS_NONE;
	     i = rootfs_next_sibling(r, i)) {
		c->node = mem_grow(c->node, &c->cap, c->n + 1, sizeof *c->node);
		c->node[c->n++] = i;
	}
	if (c->n == 0)
		return;
	qsort_r(c->node, c->n, sizeof *c->node, compare, r);
	r->inode[r->node[directory].inode].child = c->node[0];
	for (size_t i = 1; i < c->n; i++)
		r->node[c->node[i - 1]].sibling = c->node[i];
	r->node[c->node[c->n - 1]].sibling = ROOTFS_NONE;
}

static void sort(struct rootfs *r, int (*compare)(const void *, const void *, void *))
{
	struct children children = {0};

	r->n_sorted = 0;
	for (uint32_t i = 0; i != ROOTFS_NONE; i = rootfs_next(r, i)) {
		if (rootfs_is_directory(r, i))
			sort_children(r, i, &children, compare);
		r->n_sorted++;
	}
	free(children.node);
}

void rootfs_sort(struct rootfs *r)
{
	sort(r, compare_names);
}

void rootfs_sort_list(struct rootfs *r)
{
	sort(r, compare_list);
}

uint32_t rootfs_next(const struct rootfs *r, uint32_t node)
{
	if (rootfs_is_directory(r, node) && rootfs_inode(r, node)->child != ROOTFS_NONE)
		return rootfs_inode(r, node)->child;
	while (node != ROOTFS_NONE && r->node[node].sibling == ROOTFS_NONE)
		node = r->node[node].parent;
	return node != ROOTFS_NONE ? r->node[node].sibling : ROOTFS_NONE;
}
