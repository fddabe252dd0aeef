#include "tree/tree.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "tree/tree-private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_directory(const struct tree_candidate *c)
{
	return S_ISDIR(tree_candidate_entry(c)->mode);
}

/* Sorts by name, then by the order of the sources. */
static int compare_candidates(const void *a, const void *b)
{
	const struct tree_candidate *x = a, *y = b;
	int order = utf8_compare(x->name, y->name);

	if (order != 0)
		return order;
	return x->source < y->source ? -1 : x->source > y->source;
}

/* The candidates of a merged directory whose children are not yet added. */
struct pending {
	struct tree_candidate *list;
	size_t n;
};

struct merge {
	struct tree *t;
	const struct tree_source *sources;
	size_t n_sources;
	uint32_t *origins; /* for each source: its first origin in t */
	char **way; /* for each source: the components of `at`, each ended by NUL */
	struct pending *pending; /* for each merged directory, in their order */
	size_t n_pending, cap_pending;
};

static void add_pending(struct merge *m, const struct tree_candidate *from, size_t n)
{
	struct tree_candidate *list = mem_zero(n, sizeof *list);

	memcpy(list, from, n * sizeof *list);
	m->pending =
	    mem_grow(m->pending, &m->cap_pending, m->n_pending + 1, sizeof *m->pending);
	m->pending[m->n_pending++] = (struct pending){list, n};
}

static void report_conflict(const struct merge *m, uint32_t parent,
			    const struct tree_candidate *a,
			    const struct tree_candidate *b)
{
	struct buf path = {0}, x = {0}, y = {0};

	tree_path(m->t, parent, &path);
	buf_addf(&path, "%s%s", path.len > 0 ? "/" : "", a->name);
	if (is_directory(a) != is_directory(b))
		die("/%s is a directory in only one of %s and %s", path.data,
		    a->source->said_as, b->source->said_as);
	if (tree_candidate_is_linked(a) && tree_candidate_is_linked(b)) {
		tree_candidate_link(a, &x);
		tree_candidate_link(b, &y);
	}
	if (x.len == 0 || strcmp(x.data, y.data) != 0)
		warn("/%s is in both %s and %s; the first one is taken", path.data,
		     a->source->said_as, b->source->said_as);
	buf_release(&path);
	buf_release(&x);
	buf_release(&y);
}

static void copy_owner(struct tree *t, uint32_t i, const struct tree_candidate *c)
{
	const struct tree *old = c->source->tree;
	uint32_t owner = tree_candidate_entry(c)->owner;

	if (c->source->owner != NULL)
		t->entry[i].owner = tree_add_owner(t, c->source->owner, "", 0);
	else if (owner != TREE_END)
		t->entry[i].owner = tree_add_owner(
		    t, &old->owner[owner], old->names.data + old->owner[owner].xattrs,
		    old->owner[owner].xattrs_len);
}

/* Sets the fields of a leaf. */
static void merge_leaf(struct merge *m, struct tree_entry *e,
		       const struct tree_candidate *c)
{
	const struct tree_entry *from = tree_candidate_entry(c);

	e->mode = from->mode;
	if (tree_candidate_is_linked(c)) {
		const char *kept = tree_candidate_target(c);
		e->mode = S_IFLNK | 0777;
		e->link = kept != NULL ? tree_add_text(m->t, kept) : TREE_END;
	} else if (S_ISLNK(from->mode)) {
		e->link = tree_add_text(m->t, c->source->tree->names.data + from->link);
	} else {
		e->size = from->size;
	}
	e->mtime = from->mtime;
	e->state = from->state;
	if (S_ISREG(e->mode))
		m->t->bytes += e->size;
}

static void merge_attributes(struct merge *m, uint32_t i,
			     const struct tree_candidate *from, size_t n)
{
	struct tree_entry *e = &m->t->entry[i];

	for (size_t k = 0; k < n; k++) {
		if (!tree_candidate_is_chosen(&from[k]))
			continue;
		e->mode = tree_candidate_entry(&from[k])->mode;
		copy_owner(m->t, i, &from[k]);
		return;
	}
	e->mode = S_IFDIR | 0755;
	e->is_implied = true;
	const struct tree_owner *owner = from[0].source->owner;
	for (size_t k = 0; k < n && owner != NULL; k++)
		owner = from[k].source->owner;
	if (owner != NULL)
		e->owner = tree_add_owner(m->t, owner, "", 0);
}

/* Returns whether the path is in the list or is a parent of a path in the list. */
static bool is_open(char *const *list, const char *path)
{
	size_t len = strlen(path);

	for (; *list != NULL; list++)
		if (len == 0 || (strncmp(*list, path, len) == 0 &&
				 ((*list)[len] == '/' || (*list)[len] == '\0')))
			return true;
	return false;
}

/* Decides which directories of TREE_GROUP are copied: those of only one source. */
static void decide_group(const struct merge *m, uint32_t i, struct tree_candidate *from,
			 size_t n)
{
	struct buf path = {0};

	tree_path(m->t, i, &path);
	for (size_t k = 0; k < n; k++) {
		const struct tree_source *source = from[k].source;
		size_t others = 0;
		if (source->kind != TREE_GROUP || from[k].is_copied ||
		    is_open(source->open, path.data != NULL ? path.data : ""))
			continue;
		for (size_t j = 0; j < n; j++)
			others += j != k && from[j].source->kind == TREE_GROUP &&
				  from[j].source->group == source->group &&
				  tree_candidate_is_linked(&from[j]);
		/* An earlier candidate is already copied only if it was alone. */
		from[k].is_copied = others == 0;
	}
	buf_release(&path);
}

/*
 * If a candidate is the base of an origin, the merged entry becomes the base of the
 * copied origin.
 */
static void set_bases(const struct merge *m, uint32_t i,
		      const struct tree_candidate *from, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		const struct tree_source *source = from[k].source;
		const struct tree_entry *e = tree_candidate_entry(&from[k]);
		if (from[k].entry == TREE_END)
			continue;
		uint32_t origin = m->origins[source - m->sources] + e->origin;
		if (from[k].entry == source->root ||
		    source->tree->origin[e->origin].base == from[k].entry)
			m->t->origin[origin].base = i;
	}
}

/* Adds the entry for all candidates from[0..n), which have the same name. */
static void merge_entry(struct merge *m, uint32_t parent, struct tree_candidate *from,
			size_t n)
{
	struct tree *t = m->t;

	for (size_t i = 1; i < n; i++)
		if (!is_directory(&from[i]) || !is_directory(&from[0]))
			report_conflict(m, parent, &from[0], &from[i]);
	uint32_t name = tree_add_text(t, from[0].name), i = (uint32_t)t->n;
	struct tree_entry *e = tree_add_entry(t, parent);
	e->name = name;
	if (from[0].entry != TREE_END)
		e->origin = m->origins[from[0].source - m->sources] +
			    tree_candidate_entry(&from[0])->origin;
	set_bases(m, i, from, n);
	if (!is_directory(&from[0])) {
		merge_leaf(m, e, &from[0]);
		copy_owner(t, i, &from[0]);
		return;
	}
	const bool was_copied = from[0].is_copied;
	decide_group(m, i, from, n);
	if (n == 1 && from[0].is_copied && !was_copied && from[0].source->keeps_links) {
		from[0].is_copied = false;
		merge_leaf(m, e, &from[0]);
		return;
	}
	merge_attributes(m, i, from, n);
	add_pending(m, from, n);
}

/* Appends the children of a candidate to all[0..n). Returns the new n. */
static size_t add_children(const struct merge *m, const struct tree_candidate *c,
			   struct tree_candidate **all, size_t n, size_t *cap)
{
	const struct tree_source *source = c->source;
	const struct tree *t = source->tree;

	if (c->entry == TREE_END) {
		const char *way = m->way[source - m->sources];
		const char *name = c->name + strlen(c->name) + 1;
		const char *next = name + strlen(name) + 1;
		bool is_last = next > way + strlen(source->at) + 1;
		*all = mem_grow(*all, cap, n + 1, sizeof **all);
		(*all)[n++] =
		    (struct tree_candidate){.source = source,
					    .name = name,
					    .entry = is_last ? source->root : TREE_END};
		return n;
	}
	const struct tree_entry *e = tree_candidate_entry(c);
	*all = mem_grow(*all, cap, n + e->count, sizeof **all);
	for (uint32_t i = e->first; i < e->first + e->count; i++)
		if (source->is_left == NULL || !source->is_left[i])
			(*all)[n++] = (struct tree_candidate){
			    source, t->names.data + t->entry[i].name, i, c->is_copied};
	return n;
}

/* Sets owner and mode of the root if a source keeps them. */
static void merge_root(struct merge *m, const struct tree_candidate *roots)
{
	for (size_t k = 0; k < m->n_sources; k++) {
		const bool *is_kept = roots[k].source->is_kept;
		if (roots[k].entry == TREE_END || is_kept == NULL ||
		    !is_kept[roots[k].entry])
			continue;
		m->t->entry[0].mode = tree_candidate_entry(&roots[k])->mode;
		copy_owner(m->t, 0, &roots[k]);
		return;
	}
}

/* Adds the children of the merged directory `i`. */
static void merge_directory(struct merge *m, uint32_t i, struct pending from)
{
	struct tree *t = m->t;
	struct tree_candidate *all = NULL;
	size_t n = 0, cap = 0, first = t->n;

	for (size_t k = 0; k < from.n; k++)
		n = add_children(m, &from.list[k], &all, n, &cap);
	if (n > 0)
		qsort(all, n, sizeof *all, compare_candidates);
	for (size_t k = 0, same; k < n; k += same) {
		for (same = 1; k + same < n; same++)
			if (strcmp(all[k].name, all[k + same].name) != 0)
				break;
		merge_entry(m, i, &all[k], same);
	}
	t->entry[i].first = (uint32_t)first;
	t->entry[i].count = (uint32_t)(t->n - first);
	free(all);
	free(from.list);
}

/* Copies the origins of a source, and makes its root a candidate for the merged root. */
static void begin_source(struct merge *m, size_t i, struct tree_candidate *root)
{
	const struct tree_source *source = &m->sources[i];
	const struct tree *t = source->tree;
	struct buf place = {0};

	if (source->at[0] == '\0' && !S_ISDIR(t->entry[source->root].mode))
		die("%s: not a directory, so it has no contents to put at the root",
		    source->said_as);
	m->origins[i] = (uint32_t)m->t->n_origins;
	for (uint32_t o = 0; o < t->n_origins; o++) {
		int archive = t->origin[o].archive;
		if (archive >= 0) {
			archive = fcntl(archive, F_DUPFD_CLOEXEC, 0);
			if (archive < 0)
				die_errno("%s", t->origin[o].path);
			tree_add_archive(m->t, t->origin[o].path, archive,
					 t->origin[o].ctime);
			continue;
		}
		uint32_t base =
		    o == t->entry[source->root].origin ? source->root : t->origin[o].base;
		buf_clear(&place);
		if (base == source->root)
			tree_location(t, base, &place);
		else
			buf_addstr(&place, t->origin[o].path);
		uint32_t origin = tree_add_origin(m->t, place.data, 0);
		if (source->kind != TREE_LINKS && source->kind != TREE_GROUP)
			continue;
		buf_clear(&place);
		tree_candidate_path(source, base, &place);
		m->t->origin[origin].as_links = mem_strdup(place.data);
	}
	if (t->newest > m->t->newest)
		m->t->newest = t->newest;
	m->t->is_temporary = m->t->is_temporary || t->is_temporary;
	buf_release(&place);

	/* An empty string and then the components of `at`. */
	m->way[i] = mem_zero(strlen(source->at) + 3, 1);
	memcpy(m->way[i] + 1, source->at, strlen(source->at));
	for (char *p = m->way[i] + 1; *p != '\0'; p++)
		if (*p == '/')
			*p = '\0';
	*root = (struct tree_candidate){.source = source, .name = m->way[i]};
	root->entry = source->at[0] == '\0' ? source->root : TREE_END;
}

void tree_merge(struct tree *t, const struct tree_source *sources, size_t n)
{
	struct merge m = {.t = t, .sources = sources, .n_sources = n};
	struct tree_candidate *roots = mem_zero(n, sizeof *roots);

	m.origins = mem_zero(n, sizeof *m.origins);
	m.way = mem_zero(n, sizeof *m.way);
	for (size_t i = 0; i < n; i++)
		begin_source(&m, i, &roots[i]);
	uint32_t name = tree_add_text(t, "");
	struct tree_entry *root = tree_add_entry(t, TREE_END);
	root->name = name;
	root->mode = S_IFDIR | 0755;
	merge_root(&m, roots);
	set_bases(&m, 0, roots, n);
	decide_group(&m, 0, roots, n);
	add_pending(&m, roots, n);
	size_t done = 0;
	for (uint32_t i = 0; i < t->n; i++)
		if (S_ISDIR(t->entry[i].mode))
			merge_directory(&m, i, m.pending[done++]);
	for (size_t i = 0; i < n; i++)
		free(m.way[i]);
	free(m.way);
	free(m.origins);
	free(m.pending);
	free(roots);
}

/* Turns a leaf into a symlink in place, as merge_leaf() does in another tree. */
static void link_leaf(struct tree *t, const struct tree_candidate *c)
{
	struct tree_entry *e = &t->entry[c->entry];
	uint32_t link = tree_candidate_target(c) != NULL ? e->link : TREE_END;

	if (S_ISREG(e->mode))
		t->bytes -= e->size;
	e->mode = S_IFLNK | 0777;
	e->link = link;
}

void tree_merge_alone(struct tree *t, const struct tree_source *source)
{
	if (source->kind == TREE_LINKS)
		t->origin[0].as_links = mem_strdup(source->as_links);
	for (uint32_t i = 0; i < t->n; i++) {
		const struct tree_candidate c = {.source = source, .entry = i};
		struct tree_entry *e = &t->entry[i];
		if (!S_ISDIR(e->mode) && tree_candidate_is_linked(&c))
			link_leaf(t, &c);
		if (!S_ISDIR(e->mode))
			continue;
		e->mtime = 0;
		e->state = 0;
		if (i == 0 ? source->is_kept != NULL && source->is_kept[0]
			   : tree_candidate_is_chosen(&c))
			continue;
		e->mode = S_IFDIR | 0755;
		e->is_implied = i > 0;
		e->owner = TREE_END;
	}
}
