#include "tree/tree.h"

#include "tree/tree-private.h"

#include <string.h>
#include <sys/stat.h>

/* Directories with these modes do not count as set on purpose. */
enum { STORE_DIRECTORY = 0555, ANY_DIRECTORY = 0755 };

const struct tree_entry *tree_candidate_entry(const struct tree_candidate *c)
{
	static const struct tree_entry leading = {.mode = S_IFDIR | 0755};

	return c->entry == TREE_END ? &leading : &c->source->tree->entry[c->entry];
}

bool tree_candidate_is_linked(const struct tree_candidate *c)
{
	return c->source->kind == TREE_LINKS ||
	       (c->source->kind == TREE_GROUP && !c->is_copied);
}

/* Returns whether the relative target of the symlink `i` is outside the tree. */
static bool leads_out(const struct tree *t, uint32_t i, const char *target)
{
	int depth = -1; /* the name of the symlink itself adds no depth */

	for (uint32_t up = i; t->entry[up].parent != TREE_END; up = t->entry[up].parent)
		depth++;
	for (const char *p = target; *p != '\0';) {
		size_t n = strcspn(p, "/");
		if (n == 2 && strncmp(p, "..", 2) == 0)
			depth--;
		else if (n > 0 && !(n == 1 && *p == '.'))
			depth++;
		if (depth < 0)
			return true;
		p += n + (p[n] == '/');
	}
	return false;
}

const char *tree_candidate_target(const struct tree_candidate *c)
{
	const struct tree *t = c->source->tree;

	if (c->source->kind != TREE_LINKS || !S_ISLNK(tree_candidate_entry(c)->mode))
		return NULL;
	const char *target = t->names.data + tree_candidate_entry(c)->link;
	return target[0] == '/' || !leads_out(t, c->entry, target) ? target : NULL;
}

void tree_candidate_path(const struct tree_source *source, uint32_t i, struct buf *out)
{
	buf_addstr(out, source->as_links);
	if (i != 0)
		buf_addch(out, '/');
	tree_path(source->tree, i, out);
}

void tree_candidate_link(const struct tree_candidate *c, struct buf *out)
{
	const char *kept = tree_candidate_target(c);

	if (kept != NULL)
		buf_addstr(out, kept);
	else
		tree_candidate_path(c->source, c->entry, out);
}

/* Returns whether an entry has an owner other than root, or extended attributes. */
static bool is_owned(const struct tree_candidate *c)
{
	uint32_t i = tree_candidate_entry(c)->owner;

	if (i == TREE_END)
		return false;
	const struct tree_owner *owner = &c->source->tree->owner[i];
	return owner->uid != 0 || owner->gid != 0 || owner->xattrs_len > 0;
}

bool tree_candidate_is_chosen(const struct tree_candidate *c)
{
	const struct tree_source *source = c->source;

	if (c->entry == TREE_END || tree_candidate_is_linked(c) ||
	    (source->is_moved && c->entry == source->root))
		return false;
	if (source->is_kept != NULL && source->is_kept[c->entry])
		return true;
	mode_t mode = tree_candidate_entry(c)->mode & 07777;
	return is_owned(c) || (mode != ANY_DIRECTORY &&
			       (mode != STORE_DIRECTORY || source->kind == TREE_AS_IS));
}
