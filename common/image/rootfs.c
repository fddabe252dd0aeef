#include "image/rootfs.h"

#include "archive/path.h"
#include "archive/unpack.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BUCKETS_MIN = 1024,
	WHITEOUT = sizeof ".wh." - 1,
	LINKS_MAX = 40,
	PATH_LEN_MAX = 4095, /* Linux's PATH_MAX; so there are at most 2048 levels */
	NODES_MAX = 1 << 24, /* including removed ones */
};

/*
 * The limits for the sum of all paths, and for the memory of names, link targets and
 * xattrs, in bytes.
 */
static const uint64_t paths_max = (uint64_t)4 << 30, text_max = (uint64_t)2 << 30;

/* --- nodes and inodes --- */

static size_t add_text(struct rootfs *r, const void *text, size_t len)
{
	size_t at = r->text.len;

	buf_add(&r->text, text, len);
	buf_addch(&r->text, '\0');
	return at;
}

static const char *name_of(const struct rootfs *r, uint32_t node)
{
	return r->text.data + r->node[node].name;
}

const struct rootfs_inode *rootfs_inode(const struct rootfs *r, uint32_t node)
{
	return &r->inode[r->node[node].inode];
}

static bool is_directory(const struct rootfs *r, uint32_t node)
{
	return S_ISDIR(rootfs_inode(r, node)->mode);
}

static uint32_t *bucket_of(const struct rootfs *r, uint32_t parent, const char *name,
			   size_t len)
{
	/*
	 * The parent is part of the hash, so equal names in different directories differ.
	 */
	return &r->bucket[(secret_hash(name, len) ^ parent) & (r->n_buckets - 1)];
}

static void chain_node(struct rootfs *r, uint32_t i)
{
	const char *name = name_of(r, i);
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
		const char *have = name_of(r, i);
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
	return (uint32_t)r->n_inodes++;
}

static uint32_t add_node(struct rootfs *r, uint32_t parent, const char *name, size_t len,
			 uint32_t inode)
{
	r->node = mem_grow(r->node, &r->cap, r->n + 1, sizeof *r->node);
	uint32_t i = (uint32_t)r->n++;
	size_t above = parent == ROOTFS_NONE ? 0 : r->node[parent].path_len;
	r->node[i] = (struct rootfs_node){
	    .name = add_text(r, name, len),
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
	return add_node(r, parent, name, len, add_inode(r, &implied));
}

/* --- removing --- */

/* The first child that is not removed. Unlinks removed ones from the list. */
static uint32_t first_child(struct rootfs *r, uint32_t node)
{
	uint32_t *at = &r->node[node].child;

	while (*at != ROOTFS_NONE && r->node[*at].is_gone)
		*at = r->node[*at].sibling;
	return *at;
}

static uint32_t next_sibling(struct rootfs *r, uint32_t node)
{
	uint32_t *at = &r->node[node].sibling;

	while (*at != ROOTFS_NONE && r->node[*at].is_gone)
		*at = r->node[*at].sibling;
	return *at;
}

static void unchain(struct rootfs *r, uint32_t i)
{
	const char *name = name_of(r, i);
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
	uint32_t next = go_down ? first_child(r, i) : ROOTFS_NONE;

	while (next == ROOTFS_NONE && i != top) {
		next = next_sibling(r, i);
		i = r->node[i].parent;
	}
	return next;
}

/* Removes a node and everything below it. */
static void remove_tree(struct rootfs *r, uint32_t top)
{
	/* A node is removed after its children, because it leads to them. */
	for (uint32_t i = top;;) {
		uint32_t child = first_child(r, i);
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

static void forget_attributes(struct rootfs *r, uint32_t i)
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

/*
 * Removes what lower layers have below `top`. Directories for which this layer did that
 * before are skipped, so a layer that repeats its opaque markers takes no longer.
 */
static void hide_lower(struct rootfs *r, uint32_t top)
{
	if (is_opaque(r, top))
		return;
	for (uint32_t i = walk_on(r, top, top, true), next; i != ROOTFS_NONE; i = next) {
		bool stays = r->node[i].layer == r->n_layers;
		bool is_done = r->node[i].opaque == r->n_layers;
		next = walk_on(r, top, i, stays && !is_done);
		if (!stays)
			remove_tree(r, i);
		else if (is_directory(r, i))
			forget_attributes(r, i);
	}
	r->node[top].opaque = r->n_layers;
}

/* --- names --- */

/* The node of a canonical path. */
static uint32_t find_path(const struct rootfs *r, const char *path)
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
	uint32_t node = find_path(r, clean.data);
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
		if (child != ROOTFS_NONE && S_ISLNK(rootfs_inode(r, child)->mode)) {
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
		len += strlen(name_of(r, up)) + (r->node[up].parent != 0);
	char *end = buf_reserve(out, len) + len;
	out->len += len;
	*end = '\0';
	for (uint32_t up = node; up != 0; up = r->node[up].parent) {
		size_t n = strlen(name_of(r, up));
		end -= n;
		memcpy(end, name_of(r, up), n);
		if (r->node[up].parent != 0)
			*--end = '/';
	}
}

/* --- applying a layer --- */

/* The state of applying a layer. */
struct addition {
	struct rootfs *r;
	struct unpack_stream *stream;
	struct unpack_attributes attributes;
	int fd;
	const char *what;
	bool is_layer; /* it may have whiteouts and lack an end-of-archive mark */
	struct buf path, target; /* canonical paths */
};

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* The directory `name` in `parent`. Creates it, or replaces a file or symlink by it. */
static uint32_t make_directory(struct addition *a, uint32_t parent, const char *name,
			       size_t len)
{
	struct rootfs *r = a->r;
	uint32_t i = rootfs_child(r, parent, name, len);

	if (i != ROOTFS_NONE && !is_directory(r, i)) {
		if (S_ISLNK(rootfs_inode(r, i)->mode))
			warn("%s: /%.*s is a symlink; a directory with /%s replaces it",
			     a->what, (int)(name + len - a->path.data), a->path.data,
			     a->path.data);
		remove_tree(r, i);
		i = ROOTFS_NONE;
	}
	if (i == ROOTFS_NONE)
		i = add_implied(r, parent, name, len);
	r->node[i].layer = r->n_layers;
	return i;
}

/*
 * Makes the directories above a->path. Sets *base to the last component of the path.
 * Returns the parent.
 */
static uint32_t make_parents(struct addition *a, const char **base)
{
	uint32_t node = 0;
	const char *p = a->path.data, *slash;

	a->r->node[0].layer = a->r->n_layers;
	for (; (slash = strchr(p, '/')) != NULL; p = slash + 1)
		node = make_directory(a, node, p, (size_t)(slash - p));
	*base = p;
	return node;
}

/*
 * Whether the entry is below an aufs metadata directory, and to be ignored. Returns -1 if
 * it is below a whiteout.
 */
static int below_whiteout(const struct addition *a, struct err *e)
{
	const char *p = a->path.data, *slash;

	for (; (slash = strchr(p, '/')) != NULL; p = slash + 1) {
		if (starts_with(p, ".wh..wh.") && !starts_with(p, ".wh..wh..opq/"))
			return 1;
		if (starts_with(p, ".wh."))
			return err_set(e, "%s: '%s' is below a whiteout", a->what,
				       a->path.data);
	}
	return 0;
}

static int add_whiteout(struct addition *a, struct err *e)
{
	struct rootfs *r = a->r;
	const char *base;
	uint32_t parent = make_parents(a, &base);
	const char *hidden = base + WHITEOUT;

	if (strcmp(hidden, ".wh..opq") == 0) {
		hide_lower(r, parent);
		return 0;
	}
	if (*hidden == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
		return err_set(e, "%s: '%s' is a whiteout without a name", a->what,
			       a->path.data);
	uint32_t i = rootfs_child(r, parent, hidden, strlen(hidden));
	if (i != ROOTFS_NONE && r->node[i].layer != r->n_layers) {
		remove_tree(r, i);
	} else if (i != ROOTFS_NONE && is_directory(r, i)) {
		forget_attributes(r, i);
		hide_lower(r, i);
	}
	return 0;
}

static int add_hardlink(struct addition *a, struct err *e)
{
	struct rootfs *r = a->r;
	const char *base;

	path_clean(a->attributes.link, &a->target);
	uint32_t target = find_path(r, a->target.data);
	if (a->path.len == 0)
		return err_set(e, "%s: the root is not a directory", a->what);
	if (strcmp(a->target.data, a->path.data) == 0)
		return err_set(e, "%s: '%s' is a hard link to itself", a->what,
			       a->path.data);
	uint32_t parent = make_parents(a, &base);
	uint32_t old = rootfs_child(r, parent, base, strlen(base));
	if (old != ROOTFS_NONE)
		remove_tree(r, old);
	if (target == ROOTFS_NONE || r->node[target].is_gone)
		return err_set(e, "%s: '%s' is a hard link to '%s', which is not there",
			       a->what, a->path.data, a->target.data);
	if (is_directory(r, target))
		return err_set(e, "%s: '%s' is a hard link to the directory '%s'",
			       a->what, a->path.data, a->target.data);
	add_node(r, parent, base, strlen(base), r->node[target].inode);
	return 0;
}

/* Sets where the contents of the entry are. A sparse file is expanded into the spool. */
static int place_contents(struct addition *a, struct rootfs_inode *inode, struct err *e)
{
	struct rootfs *r = a->r;
	struct stat st;

	inode->fd = a->fd;
	inode->offset = a->attributes.offset;
	if (inode->offset >= 0)
		return 0;
	if (r->spool < 0)
		r->spool = io_tmpfile();
	if (r->spool < 0 || fstat(r->spool, &st) < 0)
		return err_set_errno(e, "cannot create a temporary file");
	inode->fd = r->spool;
	inode->offset = st.st_size;
	return unpack_expand(a->stream, r->spool, st.st_size, e);
}

static int make_inode(struct addition *a, uint64_t size, struct rootfs_inode *inode,
		      struct err *e)
{
	const struct unpack_attributes *from = &a->attributes;

	*inode = (struct rootfs_inode){
	    .mode = from->mode,
	    .uid = from->uid,
	    .gid = from->gid,
	    .mtime = from->mtime,
	    .nsec = from->nsec,
	    .fd = -1,
	};
	if (from->xattrs.len > 0) {
		inode->xattrs = add_text(a->r, from->xattrs.data, from->xattrs.len);
		inode->xattrs_len = from->xattrs.len;
	}
	switch (from->mode & S_IFMT) {
	case S_IFREG:
		inode->size = size;
		return size > 0 ? place_contents(a, inode, e) : 0;
	case S_IFLNK:
		if (from->link == NULL || from->link[0] == '\0')
			return err_set(e, "%s: '%s' is a symlink without a target",
				       a->what, a->path.data);
		inode->link = add_text(a->r, from->link, strlen(from->link));
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		inode->major = from->major;
		inode->minor = from->minor;
		return 0;
	case S_IFDIR:
	case S_IFIFO:
		return 0;
	default:
		return err_set(e, "%s: '%s' is of an unknown type", a->what,
			       a->path.data);
	}
}

/* Replaces the inode of a directory by that of a directory. Replaces anything else. */
static int add_entry(struct addition *a, uint64_t size, struct err *e)
{
	struct rootfs *r = a->r;
	struct rootfs_inode inode;
	const char *base = "";
	uint32_t parent = 0, i = 0;

	if (make_inode(a, size, &inode, e) < 0)
		return -1;
	bool is_root = a->path.len == 0;
	if (is_root && !S_ISDIR(inode.mode))
		return err_set(e, "%s: the root is not a directory", a->what);
	if (!is_root) {
		parent = make_parents(a, &base);
		i = rootfs_child(r, parent, base, strlen(base));
	}
	if (i != ROOTFS_NONE && is_directory(r, i) && S_ISDIR(inode.mode)) {
		inode.names = 1;
		r->inode[r->node[i].inode] = inode;
		r->node[i].layer = r->node[i].attributes = r->n_layers;
		return 0;
	}
	if (i != ROOTFS_NONE)
		remove_tree(r, i);
	add_node(r, parent, base, strlen(base), add_inode(r, &inode));
	return 0;
}

/* Limits the memory and disk that a small archive can make the process use. */
static int check_bounds(const struct addition *a, struct err *e)
{
	const struct rootfs *r = a->r;
	const char *target = a->attributes.link;

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

static int add_member(struct addition *a, const struct unpack_member *m, struct err *e)
{
	if (unpack_describe(a->stream, &a->attributes, e) < 0)
		return -1;
	path_clean(m->name, &a->path);
	if (check_bounds(a, e) < 0)
		return -1;
	if (!a->is_layer &&
	    (starts_with(a->path.data, ".wh.") || strstr(a->path.data, "/.wh.") != NULL))
		return err_set(e, "%s: '%s' is a whiteout: this is a layer, not a rootfs",
			       a->what, a->path.data);
	int below = below_whiteout(a, e);
	if (below != 0)
		return below < 0 ? -1 : 0;
	const char *slash = strrchr(a->path.data, '/');
	const char *base = slash != NULL ? slash + 1 : a->path.data;
	if (starts_with(base, ".wh..wh.") && strcmp(base, ".wh..wh..opq") != 0)
		return 0; /* aufs metadata */
	if (starts_with(base, ".wh."))
		return add_whiteout(a, e);
	if (a->attributes.is_hardlink)
		return add_hardlink(a, e);
	return add_entry(a, m->size, e);
}

/* Adds all entries of the stream. Releases the stream. */
static int add_members(struct addition *a, struct err *e)
{
	struct unpack_member m;
	int more;

	a->r->n_layers++;
	while ((more = unpack_next(a->stream, &m, e)) > 0)
		if ((more = add_member(a, &m, e)) < 0)
			break;
	unpack_stream_release(a->stream);
	buf_release(&a->attributes.xattrs);
	buf_release(&a->path);
	buf_release(&a->target);
	return more;
}

int rootfs_add_layer(struct rootfs *r, int fd, off_t offset, uint64_t size,
		     const char *what, struct err *e)
{
	struct addition a = {.r = r, .fd = fd, .what = what, .is_layer = true};

	a.stream = unpack_layer_new(fd, offset, size, what);
	return add_members(&a, e);
}

int rootfs_add_tar(struct rootfs *r, int fd, uint64_t size, const char *what,
		   struct err *e)
{
	struct addition a = {.r = r, .fd = fd, .what = what};

	a.stream = unpack_layer_new(fd, 0, size, what);
	unpack_layer_demand_end(a.stream);
	return add_members(&a, e);
}

void rootfs_init(struct rootfs *r)
{
	*r = (struct rootfs){.spool = -1};
	grow_buckets(r);
	add_implied(r, ROOTFS_NONE, "", 0);
}

void rootfs_release(struct rootfs *r)
{
	if (r->n > 0 && r->spool >= 0)
		close(r->spool);
	free(r->node);
	free(r->inode);
	free(r->bucket);
	free(r->order);
	buf_release(&r->text);
	*r = (struct rootfs){0};
}

/* --- order --- */

static int compare_backwards(const void *a, const void *b, void *r)
{
	return utf8_compare(name_of(r, *(const uint32_t *)b),
			    name_of(r, *(const uint32_t *)a));
}

void rootfs_sort(struct rootfs *r)
{
	uint32_t *stack = mem_resize(NULL, r->n, sizeof *stack);
	size_t n = 1;

	r->order = mem_resize(r->order, r->n, sizeof *r->order);
	r->n_order = 0;
	stack[0] = 0;
	while (n > 0) {
		uint32_t i = stack[--n];
		size_t first = n;
		r->order[r->n_order++] = i;
		for (uint32_t c = first_child(r, i); c != ROOTFS_NONE;
		     c = next_sibling(r, c))
			stack[n++] = c;
		if (n > first)
			qsort_r(stack + first, n - first, sizeof *stack,
				compare_backwards, r);
	}
	free(stack);
}
