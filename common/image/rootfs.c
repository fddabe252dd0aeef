#include "image/rootfs.h"

#include "archive/path.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/hash.h"
#include "image/rootfs-private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
	BUCKETS_MIN = 1024,
	PATH_LEN_MAX = 4095, /* Linux's PATH_MAX; so there are at most 2048 levels */
	NODES_MAX = 1 << 24, /* including removed ones */
};

/*
 * The limits for the sum of all paths, and for the memory of names, link targets and
 * xattrs, in bytes.
 */
static const uint64_t paths_max = (uint64_t)4 << 30, text_max = (uint64_t)2 << 30;

/* --- nodes and inodes --- */

uint32_t rootfs_add_text(struct rootfs *r, const void *text, size_t len)
{
	uint32_t at = (uint32_t)r->text.len; /* see text_max */

	buf_add(&r->text, text, len);
	buf_addch(&r->text, '\0');
	return at;
}

const char *rootfs_name(const struct rootfs *r, uint32_t node)
{
	return r->text.data + r->node[node].name;
}

const struct rootfs_inode *rootfs_inode(const struct rootfs *r, uint32_t node)
{
	return &r->inode[r->node[node].inode];
}

const struct rootfs_owner *rootfs_owner(const struct rootfs *r,
					const struct rootfs_inode *inode)
{
	return &r->owner[inode->owner];
}

uint64_t rootfs_size(const struct rootfs_inode *inode)
{
	return S_ISREG(inode->mode) ? inode->size : 0;
}

dev_t rootfs_rdev(const struct rootfs_inode *inode)
{
	bool is_device = S_ISCHR(inode->mode) || S_ISBLK(inode->mode);

	return is_device ? makedev(inode->major, inode->minor) : 0;
}

bool rootfs_is_directory(const struct rootfs *r, uint32_t node)
{
	return S_ISDIR(rootfs_inode(r, node)->mode);
}

static uint32_t *bucket_of(const struct rootfs *r, uint32_t parent, const char *name,
			   size_t len)
{
	/*
	 * The parent is part of the hash, so equal names in different directories differ.
	 */
	return &r->bucket[(hash_keyed(name, len) ^ parent) & (r->n_buckets - 1)];
}

static void chain_node(struct rootfs *r, uint32_t i)
{
	const char *name = rootfs_name(r, i);
	uint32_t *bucket = bucket_of(r, r->node[i].parent, name, strlen(name));

	r->node[i].chain = *bucket;
	*bucket = i;
}

static void grow_buckets(struct rootfs *r)
{
	free(r->bucket);
	r->n_buckets = r->n_buckets == 0 ? BUCKETS_MIN : r->n_buckets * 2;
	r->bucket = mem_resize(NULL, r->n_buckets, sizeof *r->bucket);
	for (size_t i = 0; i < r->n_buckets; i++)
		r->bucket[i] = ROOTFS_NONE;
	for (uint32_t i = 0; i < r->n; i++)
		if (!r->node[i].is_gone)
			chain_node(r, i);
}

uint32_t rootfs_child(const struct rootfs *r, uint32_t parent, const char *name,
		      size_t len)
{
	uint32_t i = *bucket_of(r, parent, name, len);

	for (; i != ROOTFS_NONE; i = r->node[i].chain) {
		const char *have = rootfs_name(r, i);
		if (r->node[i].parent == parent && strncmp(have, name, len) == 0 &&
		    have[len] == '\0')
			break;
	}
	return i;
}

/* Returns whether the owner that was added last is this one. */
static bool is_last_owner(const struct rootfs *r, uint64_t uid, uint64_t gid,
			  const void *xattrs, size_t xattrs_len)
{
	if (r->n_owners == 0)
		return false;
	const struct rootfs_owner *last = &r->owner[r->n_owners - 1];
	return last->uid == uid && last->gid == gid && last->xattrs_len == xattrs_len &&
	       (xattrs_len == 0 ||
		memcmp(r->text.data + last->xattrs, xattrs, xattrs_len) == 0);
}

uint32_t rootfs_add_owner(struct rootfs *r, uint64_t uid, uint64_t gid,
			  const void *xattrs, size_t xattrs_len)
{
	if (is_last_owner(r, uid, gid, xattrs, xattrs_len))
		return (uint32_t)r->n_owners - 1;
	r->owner = mem_grow(r->owner, &r->cap_owners, r->n_owners + 1, sizeof *r->owner);
	r->owner[r->n_owners] = (struct rootfs_owner){
	    .uid = uid,
	    .gid = gid,
	    .xattrs = xattrs_len > 0 ? rootfs_add_text(r, xattrs, xattrs_len) : 0,
	    .xattrs_len = (uint32_t)xattrs_len,
	};
	return (uint32_t)r->n_owners++;
}

uint32_t rootfs_add_inode(struct rootfs *r, const struct rootfs_inode *inode)
{
	r->inode = mem_grow(r->inode, &r->cap_inodes, r->n_inodes + 1, sizeof *r->inode);
	r->inode[r->n_inodes] = *inode;
	return (uint32_t)r->n_inodes++;
}

uint32_t rootfs_add_node(struct rootfs *r, uint32_t parent, const char *name, size_t len,
			 uint32_t inode)
{
	r->node = mem_grow(r->node, &r->cap, r->n + 1, sizeof *r->node);
	uint32_t i = (uint32_t)r->n++;
	size_t above = parent == ROOTFS_NONE ? 0 : r->node[parent].path_len;
	r->node[i] = (struct rootfs_node){
	    .name = rootfs_add_text(r, name, len),
	    .inode = inode,
	    .parent = parent,
	    .child = ROOTFS_NONE,
	    .sibling = ROOTFS_NONE,
	    .layer = r->n_layers,
	    .attributes = r->n_layers,
	    .path_len = (uint16_t)(above + (above > 0) + len),
	};
	r->path_bytes += r->node[i].path_len;
	r->inode[inode].names++;
	if (parent != ROOTFS_NONE) {
		r->node[i].sibling = r->node[parent].child;
		r->node[parent].child = i;
	}
	if (r->n > r->n_buckets)
		grow_buckets(r);
	else
		chain_node(r, i);
	return i;
}

/* The inode of a directory that has no entry of its own in a layer. */
static const struct rootfs_inode implied = {.mode = S_IFDIR | 0755, .fd = -1};

static uint32_t add_implied(struct rootfs *r, uint32_t parent, const char *name,
			    size_t len)
{
	return rootfs_add_node(r, parent, name, len, rootfs_add_inode(r, &implied));
}

/* --- removing --- */

uint32_t rootfs_first_child(struct rootfs *r, uint32_t node)
{
	uint32_t *at = &r->node[node].child;

	while (*at != ROOTFS_NONE && r->node[*at].is_gone)
		*at = r->node[*at].sibling;
	return *at;
}

uint32_t rootfs_next_sibling(struct rootfs *r, uint32_t node)
{
	uint32_t *at = &r->node[node].sibling;

	while (*at != ROOTFS_NONE && r->node[*at].is_gone)
		*at = r->node[*at].sibling;
	return *at;
}

static void unchain(struct rootfs *r, uint32_t i)
{
	const char *name = rootfs_name(r, i);
	uint32_t *at = bucket_of(r, r->node[i].parent, name, strlen(name));

	while (*at != i)
		at = &r->node[*at].chain;
	*at = r->node[i].chain;
}

static void take_away(struct rootfs *r, uint32_t i)
{
	unchain(r, i);
	r->node[i].is_gone = true;
	r->inode[r->node[i].inode].names--;
}

/* The node after `i` in a depth-first walk below `top`, or ROOTFS_NONE. */
static uint32_t walk_on(struct rootfs *r, uint32_t top, uint32_t i, bool go_down)
{
	uint32_t next = go_down ? rootfs_first_child(r, i) : ROOTFS_NONE;

	while (next == ROOTFS_NONE && i != top) {
		next = rootfs_next_sibling(r, i);
		i = r->node[i].parent;
	}
	return next;
}

void rootfs_remove(struct rootfs *r, uint32_t top)
{
	/* A node is removed after its children, because it leads to them. */
	for (uint32_t i = top;;) {
		uint32_t child = rootfs_first_child(r, i);
		if (child != ROOTFS_NONE) {
			i = child;
			continue;
		}
		uint32_t parent = r->node[i].parent;
		take_away(r, i);
		if (i == top)
			break;
		i = parent;
	}
}

void rootfs_forget(struct rootfs *r, uint32_t i)
{
	struct rootfs_node *node = &r->node[i];

	if (node->attributes == r->n_layers)
		return;
	node->attributes = r->n_layers;
	uint32_t names = r->inode[node->inode].names;
	r->inode[node->inode] = implied;
	r->inode[node->inode].names = names;
}

/* Whether this layer has hidden the lower layers in this directory or in one above it. */
static bool is_opaque(const struct rootfs *r, uint32_t node)
{
	while (node != ROOTFS_NONE && r->node[node].opaque != r->n_layers)
		node = r->node[node].parent;
	return node != ROOTFS_NONE;
}

/* A layer that repeats its opaque markers takes no longer. */
void rootfs_hide_lower(struct rootfs *r, uint32_t top)
{
	if (is_opaque(r, top))
		return;
	for (uint32_t i = walk_on(r, top, top, true), next; i != ROOTFS_NONE; i = next) {
		bool stays = r->node[i].layer == r->n_layers;
		bool is_done = r->node[i].opaque == r->n_layers;
		next = walk_on(r, top, i, stays && !is_done);
		if (!stays)
			rootfs_remove(r, i);
		else if (rootfs_is_directory(r, i))
			rootfs_forget(r, i);
	}
	r->node[top].opaque = r->n_layers;
}

/* --- adding --- */

/* The directory `name` in `parent`. Creates it, or replaces a file or symlink by it. */
static uint32_t make_directory(struct rootfs_addition *a, uint32_t parent,
			       const char *name, size_t len)
{
	struct rootfs *r = a->r;
	uint32_t i = rootfs_child(r, parent, name, len);

	if (i != ROOTFS_NONE && !rootfs_is_directory(r, i)) {
		if (S_ISLNK(rootfs_inode(r, i)->mode))
			warn("%s: /%.*s is a symlink; a directory with /%s replaces it",
			     a->what, (int)(name + len - a->path.data), a->path.data,
			     a->path.data);
		rootfs_remove(r, i);
		i = ROOTFS_NONE;
	}
	if (i == ROOTFS_NONE)
		i = add_implied(r, parent, name, len);
	r->node[i].layer = r->n_layers;
	return i;
}

uint32_t rootfs_make_parents(struct rootfs_addition *a, const char **base)
{
	uint32_t node = 0;
	const char *p = a->path.data, *slash;

	a->r->node[0].layer = a->r->n_layers;
	for (; (slash = strchr(p, '/')) != NULL; p = slash + 1)
		node = make_directory(a, node, p, (size_t)(slash - p));
	*base = p;
	return node;
}

uint32_t rootfs_make_room(struct rootfs_addition *a, const char **base)
{
	uint32_t parent = rootfs_make_parents(a, base);
	uint32_t old = rootfs_child(a->r, parent, *base, strlen(*base));

	if (old != ROOTFS_NONE)
		rootfs_remove(a->r, old);
	return parent;
}

int rootfs_check_bounds(const struct rootfs_addition *a, const char *target,
			struct err *e)
{
	const struct rootfs *r = a->r;

	if (a->path.len > PATH_LEN_MAX)
		return err_set(e, "%s: '%.64s...' is a path of more than %d bytes",
			       a->what, a->path.data, PATH_LEN_MAX);
	if (target != NULL && strlen(target) > PATH_LEN_MAX)
		return err_set(e, "%s: '%s' is a link to a path of more than %d bytes",
			       a->what, a->path.data, PATH_LEN_MAX);
	if (r->n > NODES_MAX || r->path_bytes > paths_max || r->text.len > text_max)
		return err_set(e, "%s: more files than can be held in memory", a->what);
	return 0;
}

int rootfs_put(struct rootfs_addition *a, const struct rootfs_inode *inode, struct err *e)
{
	struct rootfs *r = a->r;
	const char *base = "";
	uint32_t parent = 0, i = 0;
	bool is_root = a->path.len == 0;

	if (is_root && !S_ISDIR(inode->mode))
		return err_set(e, "%s: the root is not a directory", a->what);
	if (!is_root) {
		parent = rootfs_make_parents(a, &base);
		i = rootfs_child(r, parent, base, strlen(base));
	}
	if (i != ROOTFS_NONE && rootfs_is_directory(r, i) && S_ISDIR(inode->mode)) {
		struct rootfs_inode *old = &r->inode[r->node[i].inode];
		*old = *inode;
		old->names = 1;
		r->node[i].layer = r->node[i].attributes = r->n_layers;
		return 0;
	}
	if (i != ROOTFS_NONE)
		rootfs_remove(r, i);
	rootfs_add_node(r, parent, base, strlen(base), rootfs_add_inode(r, inode));
	return 0;
}

int rootfs_add_empty(struct rootfs *r, const char *path, uint32_t mode, struct err *e)
{
	const struct rootfs_inode inode = {.mode = mode, .fd = -1};
	struct rootfs_addition a = {.r = r, .what = "the tree"};

	r->n_layers++;
	path_clean(path, &a.path);
	int result = rootfs_check_bounds(&a, NULL, e);
	if (result == 0)
		result = rootfs_put(&a, &inode, e);
	buf_release(&a.path);
	return result;
}

/* --- the tree --- */

void rootfs_init(struct rootfs *r)
{
	*r = (struct rootfs){.spool = -1};
	grow_buckets(r);
	rootfs_add_owner(r, 0, 0, NULL, 0);
	add_implied(r, ROOTFS_NONE, "", 0);
}

void rootfs_release(struct rootfs *r)
{
	if (r->n > 0 && r->spool >= 0)
		close(r->spool);
	rootfs_release_disks(r);
	free(r->node);
	free(r->inode);
	free(r->owner);
	free(r->bucket);
	free(r->order);
	buf_release(&r->text);
	*r = (struct rootfs){0};
}
