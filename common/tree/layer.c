#include "tree/layer.h"

#include "archive/tar.h"
#include "base/cache.h"
#include "base/err.h"
#include "base/hardlinks.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/progress.h"
#include "tree/sink.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* For a smaller layer, the start of a thread costs more than it saves. */
enum { THREAD_FROM = 4 << 20 };

struct layer_part *layer_add(struct layer *l)
{
	l->part = mem_grow(l->part, &l->cap, l->n + 1, sizeof *l->part);
	l->part[l->n] = (struct layer_part){0};
	return &l->part[l->n++];
}

void layer_release(struct layer *l)
{
	for (size_t i = 0; i < l->n; i++) {
		tree_release(&l->part[i].tree);
		free(l->part[i].prefix);
	}
	free(l->part);
	free(l->parents);
	record_release(&l->record);
	*l = (struct layer){0};
}

/* Sets owner and time from the layer's style and adds the header. */
static void emit_styled(struct sink *s, const struct layer_style *style,
			struct tar_member *m)
{
	m->uid = style->uid;
	m->gid = style->gid;
	m->uname = style->uname;
	m->gname = style->gname;
	m->mtime = style->mtime;
	sink_header(s, m);
}

/* Does the same for an entry with an owner. */
static void emit_owned(struct sink *s, const struct layer_style *style,
		       const struct tree *t, const struct tree_owner *owner,
		       const struct tar_member *m)
{
	const struct buf xattrs = {t->names.data + owner->xattrs, owner->xattrs_len, 0};
	struct tar_member owned = *m;

	owned.uid = owner->uid;
	owned.gid = owner->gid;
	owned.mtime = owner->has_mtime ? owner->mtime : style->mtime;
	owned.nsec = owner->has_mtime ? owner->nsec : 0;
	owned.records = &xattrs;
	sink_header(s, &owned);
}

/* Adds the members for the parent directories, such as "/nix" and "/nix/store". */
static void emit_parents(const struct layer *l, struct sink *s)
{
	char *dir = mem_strdup(l->parents);

	for (char *end = dir; end != NULL;) {
		struct tar_member m = {.name = dir, .type = TAR_DIRECTORY, .mode = 0755};
		end = strchr(end + 1, '/');
		if (end != NULL)
			*end = '\0';
		emit_styled(s, l->style, &m);
		if (end != NULL)
			*end = '/';
	}
	free(dir);
}

/* The state while a part is written to the sink. */
struct sending {
	struct sink *sink;
	struct tree_reader reader;
	struct hardlinks links; /* value: the entry of the first path */
	struct buf name, first, link;
};

/*
 * Returns the path under which the file was already written. Returns NULL if this is the
 * first path of the file.
 */
static const char *first_name(struct sending *x, const struct tree *t, uint32_t i)
{
	const uint32_t own = t->entry[i].owner;

	if (own == TREE_END || t->owner[own].ino == 0)
		return NULL;
	size_t first =
	    hardlinks_first(&x->links, t->owner[own].dev, t->owner[own].ino, i);
	if (first == i)
		return NULL;
	buf_clear(&x->first);
	tree_path(t, (uint32_t)first, &x->first);
	return x->first.data;
}

static void emit_entry(const struct layer *l, const struct layer_part *part, uint32_t i,
		       struct sending *x)
{
	const struct tree *t = &part->tree;
	const struct tree_entry *e = &t->entry[i];
	struct tar_member m = {
	    .type = tar_type(e->mode),
	    .mode = e->mode,
	    .size = S_ISREG(e->mode) ? e->size : 0,
	};

	buf_clear(&x->name);
	if (part->prefix != NULL)
		buf_addstr(&x->name, part->prefix);
	if (part->prefix != NULL && e->parent != TREE_END)
		buf_addch(&x->name, '/');
	tree_path(t, i, &x->name);
	m.name = part->prefix == NULL && e->parent == TREE_END ? "." : x->name.data;
	if (m.type == TAR_SYMLINK)
		m.link = tree_link(t, i, &x->link);
	const char *first = first_name(x, t, i);
	if (first != NULL) {
		m.type = TAR_HARDLINK;
		m.link = first;
	}
	if (m.type == TAR_CHAR || m.type == TAR_BLOCK_DEVICE) {
		m.major = major(e->size);
		m.minor = minor(e->size);
	}
	if (e->owner == TREE_END)
		emit_styled(x->sink, l->style, &m);
	else
		emit_owned(x->sink, l->style, t, &t->owner[e->owner], &m);
	if (m.type == TAR_FILE)
		sink_file(x->sink, &x->reader, t, i);
}

/* Writes the complete layer tar to the sink. */
static void emit(void *arg, struct sink *s)
{
	const struct layer *l = arg;
	struct sending x = {.sink = s};

	if (l->parents != NULL)
		emit_parents(l, s);
	for (size_t k = 0; k < l->n; k++) {
		const struct layer_part *part = &l->part[k];
		const struct tree *t = &part->tree;
		uint32_t i = 0;
		tree_reader_init(&x.reader);
		if (part->prefix == NULL && t->entry[0].owner == TREE_END)
			i = tree_next(t, 0);
		for (; i != TREE_END; i = tree_next(t, i))
			emit_entry(l, part, i, &x);
		tree_reader_release(&x.reader);
		hardlinks_release(&x.links);
	}
	sink_zeroes(s, tar_end(s->total, TAR_RECORD));
	buf_release(&x.name);
	buf_release(&x.first);
	buf_release(&x.link);
}

uint64_t layer_bytes(const struct layer *l)
{
	uint64_t bytes = 0;

	for (size_t k = 0; k < l->n; k++)
		bytes += l->part[k].tree.bytes;
	return bytes;
}

/* Hashes the layer, or writes what was recorded of it, or else writes it like hashing. */
static void run(struct layer *l, struct sink *s)
{
	uint64_t bytes = layer_bytes(l);

	s->task = l->task;
	int step = s->fd < 0 ? SINK_HASH : SINK_WRITE;
	progress_set(l->task, step, 0);
	progress_step(l->task, step, bytes);
	if (s->fd >= 0 && record_is_complete(&l->record))
		sink_replay(s, &l->record);
	else
		sink_run(s, emit, l, bytes >= THREAD_FROM);
}

/*
 * About how many bytes a record of the layer needs: for each entry its headers and its
 * padding, and the contents of small files.
 */
static size_t record_size(const struct layer *l)
{
	enum { HEADERS = 1024 };
	size_t size = HEADERS + TAR_RECORD;

	for (size_t k = 0; k < l->n; k++) {
		const struct tree *t = &l->part[k].tree;
		for (uint32_t i = 0; i < t->n; i++) {
			const struct tree_entry *e = &t->entry[i];
			bool is_small = S_ISREG(e->mode) && e->size < SINK_LARGE;
			size += HEADERS + (is_small ? (size_t)e->size : 0);
		}
	}
	return size;
}

/*
 * Hashes the layer, and records it unless `record` is NULL. Returns a file that was
 * touched since the scan, if there is one.
 */
static struct sink_entry hash(struct layer *l, struct record *record, uint64_t *size,
			      char hex[DIGEST_HEX + 1])
{
	struct sink s;

	sink_init(&s, -1);
	s.record = record;
	run(l, &s);
	digest_hex(&s.digest, hex);
	*size = s.total;
	sink_release(&s);
	return s.touched;
}

static bool is_settled(const struct layer *l)
{
	for (size_t k = 0; k < l->n; k++)
		if (!tree_is_settled(&l->part[k].tree))
			return false;
	return true;
}

static bool is_temporary(const struct layer *l)
{
	for (size_t k = 0; k < l->n; k++)
		if (l->part[k].tree.is_temporary)
			return true;
	return false;
}

/*
 * Computes the key in the cache from everything that determines the bytes of the layer,
 * and from the state of each file.
 */
static void make_key(const struct layer *l, char key[DIGEST_HEX + 1])
{
	struct digest d;

	digest_init(&d);
	digest_number(&d, (uint64_t)l->style->mtime);
	digest_number(&d, l->style->uid);
	digest_number(&d, l->style->gid);
	digest_text(&d, l->style->uname);
	digest_text(&d, l->style->gname);
	digest_text(&d, l->parents != NULL ? l->parents : "");
	for (size_t k = 0; k < l->n; k++) {
		digest_text(&d, l->part[k].prefix != NULL ? l->part[k].prefix : "");
		tree_digest(&l->part[k].tree, &d);
	}
	digest_hex(&d, key);
	digest_release(&d);
}

/* The cache contains "DIFF_ID SIZE". */
static bool parse_fact(struct layer *l, const struct buf *fact)
{
	if (fact->len < DIGEST_HEX + 2 || fact->data[DIGEST_HEX] != ' ')
		return false;
	memcpy(l->diff_id, fact->data, DIGEST_HEX);
	l->diff_id[DIGEST_HEX] = '\0';
	return digest_is_hex(l->diff_id) &&
	       num_parse(fact->data + DIGEST_HEX + 1, fact->len - DIGEST_HEX - 1,
			 INT64_MAX, &l->size) == 0;
}

void layer_measure(struct layer *l, const struct cache *cache,
		   struct record_budget *budget)
{
	static const char kind[] = "layer-4";
	struct buf fact = {0};

	make_key(l, l->key);
	if (cache->dir == NULL)
		l->why_hashed = "the cache is off";
	else if (!cache_get(cache, kind, l->key, &fact))
		l->why_hashed = "it is not in the cache";
	else if (!parse_fact(l, &fact))
		l->why_hashed = "its entry in the cache is damaged";
	if (l->why_hashed != NULL) {
		l->is_fresh = !is_settled(l);
		struct record *record = budget != NULL ? &l->record : NULL;
		if (record != NULL)
			record_begin(record, budget, record_size(l));
		bool is_touched = hash(l, record, &l->size, l->diff_id).tree != NULL;
		buf_clear(&fact);
		buf_addf(&fact, "%s %" PRIu64, l->diff_id, l->size);
		l->why_not_kept = l->is_fresh       ? "a file has just changed"
				  : is_touched      ? "a file was touched"
				  : is_temporary(l) ? "a file is temporary"
						    : NULL;
		if (l->why_not_kept == NULL)
			cache_put(cache, kind, l->key, fact.data, fact.len);
	}
	buf_release(&fact);
}

void layer_explain(const struct layer *l, struct buf *out)
{
	if (l->why_hashed == NULL)
		buf_addf(out, "cached, key %.12s", l->key);
	else
		buf_addf(out, "hashed: %s, key %.12s", l->why_hashed, l->key);
	if (l->why_not_kept != NULL)
		buf_addf(out, "; not put into the cache: %s", l->why_not_kept);
}

/*
 * Hashes the layer again. The contents of `touched`, or of any file if the layer was
 * fresh, may have changed between measuring and writing. Then the digest differs and the
 * process ends.
 */
static void verify(struct layer *l, struct sink_entry touched)
{
	char hex[DIGEST_HEX + 1];
	uint64_t size;

	if (touched.tree == NULL)
		touched = (struct sink_entry){&l->part[0].tree, 0};
	if (l->diff_id[0] == '\0')
		tree_changed(touched.tree, touched.entry);
	hash(l, NULL, &size, hex);
	if (!digest_is_same(hex, l->diff_id))
		tree_changed(touched.tree, touched.entry);
}

void layer_write(struct layer *l, int fd)
{
	struct sink s;

	sink_init(&s, fd);
	run(l, &s);
	if (l->diff_id[0] != '\0' && s.total != l->size)
		die("a layer has %" PRIu64 " bytes, and had %" PRIu64
		    " when it was measured",
		    s.total, l->size);
	/* Then all bytes are those that were hashed. */
	bool is_recorded = record_is_complete(&l->record) && l->record.n == 0;
	if (s.touched.tree != NULL || (l->is_fresh && !is_recorded))
		verify(l, s.touched);
	sink_release(&s);
}
