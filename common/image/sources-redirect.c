#include "image/sources.h"

#include "archive/path.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "image/rootfs.h"
#include "image/sources-private.h"

#include <string.h>
#include <sys/stat.h>

/* The entry of this type that one of the sources has at this path of the layer, or NULL.
 */
static const struct tree_entry *find_entry(const struct sources *s, const char *path,
					   mode_t type, const struct tree **tree)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct source *one = &s->source[i];
		if (one->at[0] != '\0')
			continue;
		uint32_t entry = tree_find(one->tree, path);
		*tree = one->tree;
		if (entry != TREE_END && !one->is_left[entry] &&
		    (one->tree->entry[entry].mode & S_IFMT) == type)
			return &one->tree->entry[entry];
	}
	return NULL;
}

/* The directory that a symlink in another source leads to; "" if none does. */
static void follow_sources(const struct sources *s, const char *path, struct buf *to)
{
	const struct tree *tree;
	const struct tree_entry *e;
	struct buf link = {0};
	int links = 0;

	buf_addstr(to, path);
	while (links < SOURCES_LINKS_MAX &&
	       (e = find_entry(s, to->data, S_IFLNK, &tree)) != NULL) {
		buf_clear(&link);
		buf_addstr(&link, to->data);
		path_target(link.data, tree->names.data + e->link, to);
		links++;
	}
	if (links == 0 || find_entry(s, to->data, S_IFDIR, &tree) == NULL)
		buf_clear(to);
	buf_release(&link);
}

/* The same for a symlink in the image below. */
static void follow_base(const struct sources *s, const struct source *one,
			const char *path, struct buf *to)
{
	uint32_t link = rootfs_find(s->base, path);

	if (link == ROOTFS_NONE || !S_ISLNK(rootfs_mode(s->base, link)))
		return;
	uint32_t node = rootfs_follow(s->base, path);
	if (node == ROOTFS_NONE || !S_ISDIR(rootfs_mode(s->base, node))) {
		warn("/%s is a symlink in %s, to no directory there; one of %s replaces "
		     "it",
		     path, s->base_name, one->path);
		return;
	}
	rootfs_path(s->base, node, to);
	warn("/%s is a symlink in %s; what %s has there goes to /%s", path, s->base_name,
	     one->path, to->data);
}

/* Sends the subtree of source `i` at `entry` elsewhere, as a source of its own. */
static void send_elsewhere(struct sources *s, size_t i, uint32_t entry, const char *at)
{
	s->source = mem_grow(s->source, &s->cap, s->n + 1, sizeof *s->source);
	struct source *one = &s->source[i], *second = &s->source[s->n++];

	*second = *one;
	second->at = mem_strdup(at);
	second->root = entry;
	second->is_second = true;
	second->is_left = mem_zero(one->tree->n, sizeof *second->is_left);
	memcpy(second->is_left, one->is_left, one->tree->n * sizeof *second->is_left);
	one->is_left[entry] = true;
}

/* Writes where entry `i` of the source goes in the layer. */
static void place_of(const struct source *one, uint32_t i, struct buf *out)
{
	struct buf path = {0}, top = {0}, whole = {0};

	tree_path(one->tree, i, &path);
	tree_path(one->tree, one->root, &top);
	buf_addf(&whole, "%s/%s", one->at, path.len > 0 ? path.data + top.len : "");
	path_clean(whole.data, out);
	buf_release(&path);
	buf_release(&top);
	buf_release(&whole);
}

void sources_redirect(struct sources *s, size_t i)
{
	const struct tree *t = s->source[i].tree;
	const uint32_t root = s->source[i].root, end = tree_skip(t, root);
	struct buf path = {0}, to = {0};

	for (uint32_t e = tree_next(t, root), next; e != end; e = next) {
		const struct source *one = &s->source[i];
		next = tree_next(t, e);
		if (one->is_left[e])
			next = tree_skip(t, e);
		if (one->is_left[e] || !S_ISDIR(t->entry[e].mode))
			continue;
		buf_clear(&to);
		place_of(one, e, &path);
		bool is_kept = one->is_kept != NULL && one->is_kept[e];
		if (s->base != NULL && !is_kept)
			follow_base(s, one, path.data, &to);
		if (s->keep_dirlinks && to.len == 0 && !is_kept)
			follow_sources(s, path.data, &to);
		if (to.len > 0) {
			send_elsewhere(s, i, e, to.data);
			next = tree_skip(t, e);
		}
	}
	buf_release(&path);
	buf_release(&to);
}
