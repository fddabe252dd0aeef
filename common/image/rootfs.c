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
	NODES_PER_BUCKET = 2, /* at most, on average */
	PATH_LEN_MAX = 4095,  /* Linux's PATH_MAX; so there are at most 2048 levels */
	NODES_MAX = 1 << 24,  /* including removed ones */
	LAYERS_MAX = UINT16_MAX,
};

/*
 * The limits for the sum of all paths, and for the memory of names, link targets and
 * xattrs, in bytes.
 */
static const uint64_t paths_max = (uint64_t)4 << 30, text_max = (uint64_t)2 << 30;

_Static_assert(sizeof(struct rootfs_node) == 20 && sizeof(struct rootfs_inode) == 20,
	       "no padding: there may be NODES_MAX of them");

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

uint32_t rootfs_mode(const struct rootfs *r, uint32_t node)
{
	return rootfs_common(r, rootfs_inode(r, node))->mode;
}

uint64_t rootfs_size(const struct rootfs *r, const struct rootfs_inode *inode)
{
	return S_ISREG(rootfs_common(r, inode)->mode) ? inode->size : 0;
}

dev_t rootfs_rdev(const struct rootfs *r, const struct rootfs_inode *inode)
{
	mode_t mode = rootfs_common(r, inode)->mode;

	return S_ISCHR(mode) || S_ISBLK(mode) ? makedev(inode->major, inode->minor) : 0;
}

bool rootfs_is_directory(const struct rootfs *r, uint32_t node)
{
	return S_ISDIR(rootfs_mode(r, node));
}

bool rootfs_is_removed(const struct rootfs *r, uint32_t node)
{
	return r->node[node].inode == ROOTFS_NONE;
}

/* The inode of a node, to change it. */
static struct rootfs_inode *inode_of(struct rootfs *r, uint32_t node)
{
	return &r->inode[r->node[node].inode];
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
	r->n_buckets = r->n_buckets == 0 ? BUCKETS_MIN : r->n_buckets * 2;
	r->bucket = mem_resize(r->bucket, r->n_buckets, sizeof *r->bucket);
	for (size_t i = 0; i < r->n_buckets; i++)
		r->bucket[i] = ROOTFS_NONE;
	for (uint32_t i = 0; i < r->n; i++)
		if (!rootfs_is_removed(r, i))
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

static uint32_t add_inode(struct rootfs *r, const struct rootfs_inode *inode)
{
	r->inode = mem_grow(r->inode, &r->cap_inodes, r->n_inodes + 1, sizeof *r->inode);
	r->inode[r->n_inodes] = *inode;
	r->inode[r->n_inodes].names = 0;
	return (uint32_t)r->n_inodes++;
}

static uint32_t add_directory(struct rootfs *r, uint32_t common)
{
	const struct rootfs_inode inode = {
	    .child = ROOTFS_NONE,
	    .layer = r->n_layers,
	    .attributes = r->n_layers,
	    .common = common,
	};

	return add_inode(r, &inode);
}

static uint32_t add_node(struct rootfs *r, uint32_t parent, const char *name, size_t len,
			 uint32_t inode)
{
	r->node = mem_grow(r->node, &r->cap, r->n + 1, sizeof *r->node);
	uint32_t i = (uint32_t)r->n++;
	r->node[i] = (struct rootfs_node){
	    .name = rootfs_add_text(r, name, len),
	    .inode = inode,
	    .parent = parent,
	    .sibling = ROOTFS_NONE,
	};
	r->inode[inode].names++;
	if (parent != ROOTFS_NONE) {
		r->node[i].sibling = inode_of(r, parent)->child;
		inode_of(r, parent)->child = i;
	}
	if (r->n > r->n_buckets * NODES_PER_BUCKET)
		grow_buckets(r);
	else
		chain_node(r, i);
	return i;
}

uint32_t rootfs_add_node(struct rootfs_addition *a, uint32_t parent, const char *name,
			 size_t len, uint32_t inode)
{
	a->r->path_bytes += (size_t)(name + len - a->path.data);
	return add_node(a->r, parent, name, len, inode);
}

/* --- removing --- */

/* Unlinks removed nodes from the start of a list of children. Returns its first node. */
static uint32_t clean_list(const struct rootfs *r, uint32_t *first)
{
	while (*first != ROOTFS_NONE && rootfs_is_removed(r, *first))
		*first = r->node[*first].sibling;
	return *first;
}

uint32_t rootfs_first_child(struct rootfs *r, uint32_t node)
{
	if (!rootfs_is_directory(r, node))
		return ROOTFS_NONE;
	return clean_list(r, &inode_of(r, node)->child);
}

uint32_t rootfs_next_sibling(struct rootfs *r, uint32_t node)
{
	return clean_list(r, &r->node[node].sibling);
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
	inode_of(r, i)->names--;
	r->node[i].inode = ROOTFS_NONE;
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

void rootfs_forget(struct rootfs *r, uint32_t node)
{
	struct rootfs_inode *inode = inode_of(r, node);

	if (inode->attributes != r->n_layers) {
		inode->attributes = r->n_layers;
		inode->common = ROOTFS_IMPLIED;
	}
}

bool rootfs_is_touched(const struct rootfs *r, uint32_t node)
{
	if (rootfs_is_directory(r, node))
		return rootfs_inode(r, node)->layer == r->n_layers;
	return node >= r->layer_start;
}

/* Whether this layer has hidden the lower layers in this directory. */
static bool is_opaque(const struct rootfs *r, uint32_t node)
{
	return rootfs_is_directory(r, node) &&
	       rootfs_inode(r, node)->opaque == r->n_layers;
}

/* Whether it has hidden them in this directory or in one above it. */
static bool is_below_opaque(const struct rootfs *r, uint32_t node)
{
	while (node != ROOTFS_NONE && !is_opaque(r, node))
		node = r->node[node].parent;
	return node != ROOTFS_NONE;
}

/* A layer that repeats its opaque markers takes no longer. */
void rootfs_hide_lower(struct rootfs *r, uint32_t top)
{
	if (is_below_opaque(r, top))
		return;
	for (uint32_t i = walk_on(r, top, top, true), next; i != ROOTFS_NONE; i = next) {
		bool stays = rootfs_is_touched(r, i);
		next = walk_on(r, top, i, stays && !is_opaque(r, i));
		if (!stays)
			rootfs_remove(r, i);
		else if (rootfs_is_directory(r, i))
			rootfs_forget(r, i);
	}
	inode_of(r, top)->opaque = r->n_layers;
}

/* --- adding --- */

int rootfs_begin_layer(struct rootfs_addition *a, const struct rootfs_place *place,
		       struct err *e)
{
	struct rootfs *r = a->r;

	if (r->n_layers == LAYERS_MAX)
		return err_set(e, "%s: more than %d layers", a->what, LAYERS_MAX);
	r->n_layers++;
	r->layer_start = (uint32_t)r->n;
	r->place =
	    mem_grow(r->place, &r->cap_places, (size_t)r->n_layers + 1, sizeof *r->place);
	r->place[r->n_layers] = *place;
	return 0;
}

/* The directory `name` in `parent`. Creates it, or replaces a file or symlink by it. */
static uint32_t make_directory(struct rootfs_addition *a, uint32_t parent,
			       const char *name, size_t len)
{
	struct rootfs *r = a->r;
	uint32_t i = rootfs_child(r, parent, name, len);

	if (i != ROOTFS_NONE && !rootfs_is_directory(r, i)) {
		if (S_ISLNK(rootfs_mode(r, i)))
			warn("%s: /%.*s is a symlink; a directory with /%s replaces it",
			     a->what, (int)(name + len - a->path.data), a->path.data,
			     a->path.data);
		rootfs_remove(r, i);
		i = ROOTFS_NONE;
	}
	if (i == ROOTFS_NONE)
		i = rootfs_add_node(a, parent, name, len,
				    add_directory(r, ROOTFS_IMPLIED));
	inode_of(r, i)->layer = r->n_layers;
	return i;
}

uint32_t rootfs_make_parents(struct rootfs_addition *a, const char **base)
{
	uint32_t node = 0;
	const char *p = a->path.data, *slash;

	inode_of(a->r, 0)->layer = a->r->n_layers;
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
	bool is_directory = S_ISDIR(rootfs_common(r, inode)->mode);

	if (is_root && !is_directory)
		return err_set(e, "%s: the root is not a directory", a->what);
	if (!is_root) {
		parent = rootfs_make_parents(a, &base);
		i = rootfs_child(r, parent, base, strlen(base));
	}
	if (i != ROOTFS_NONE && is_directory && rootfs_is_directory(r, i)) {
		struct rootfs_inode *old = inode_of(r, i);
		old->common = inode->common;
		old->layer = old->attributes = r->n_layers;
		return 0;
	}
	if (i != ROOTFS_NONE)
		rootfs_remove(r, i);
	rootfs_add_node(a, parent, base, strlen(base),
			is_directory ? add_directory(r, inode->common)
				     : add_inode(r, inode));
	return 0;
}

int rootfs_add_empty(struct rootfs *r, const char *path, uint32_t mode, struct err *e)
{
	static const struct rootfs_place nowhere = {.fd = -1};
	struct rootfs_addition a = {.r = r, .what = "the tree"};

	if (rootfs_begin_layer(&a, &nowhere, e) < 0)
		return -1;
	const struct rootfs_common common = {.mode = (uint16_t)mode,
					     .place = r->n_layers};
	const struct rootfs_inode inode = {.common =
					       rootfs_add_common(r, &common, NULL, 0)};
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
	static const struct rootfs_common implied = {.mode = S_IFDIR | 0755};

	*r = (struct rootfs){0};
	grow_buckets(r);
	r->place = mem_grow(r->place, &r->cap_places, 1, sizeof *r->place);
	r->place[ROOTFS_SPARSE] = (struct rootfs_place){.fd = -1};
	add_node(r, ROOTFS_NONE, "", 0,
		 add_directory(r, rootfs_add_common(r, &implied, NULL, 0)));
}

void rootfs_release(struct rootfs *r)
{
	if (r->n > 0 && r->place[ROOTFS_SPARSE].fd >= 0)
		close(r->place[ROOTFS_SPARSE].fd);
	rootfs_release_disks(r);
	free(r->place);
	free(r->node);
	free(r->inode);
	free(r->common);
	free(r->common_slot);
	free(r->bucket);
	buf_release(&r->text);
	*r = (struct rootfs){0};
}
