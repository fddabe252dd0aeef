#include "registry/push.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/pool.h"
#include "registry/push-private.h"

#include <stdlib.h>
#include <string.h>

/* Whether a blob is a layer to be compressed that is not known. */
static bool is_unknown(const struct push *p, const struct parts_blob *b)
{
	return b->kind == PARTS_LAYER &&
	       pairs_find(&p->known.pairs, b->diff_id, p->o->format) == NULL;
}

/* Lists the unknown layers. The caller frees the list. */
static char (*list_unknown(const struct push *p, size_t *n))[DIGEST_HEX + 1]
{
	char(*list)[DIGEST_HEX + 1] = mem_zero(p->parts.names.n, sizeof *list);

	*n = 0;
	for (size_t i = 0; i < p->parts.names.n; i++) {
		const struct parts_blob *b = &p->parts.blob[i];
		if (is_unknown(p, b))
			memcpy(list[(*n)++], b->diff_id, DIGEST_HEX + 1);
	}
	return list;
}

/* Whether a layer is neither known nor in the archive. */
static bool is_any_lost(const struct push *p)
{
	for (size_t i = 0; i < p->parts.names.n; i++)
		if (p->parts.blob[i].place == NULL && is_unknown(p, &p->parts.blob[i]))
			return true;
	return false;
}

/*
 * Reads images of the registry until the layers are known. If the tag exists, a layer
 * that it does not have is probably new, so other tags are read only for a layer that the
 * archive does not have.
 */
static int learn(struct push *p, struct err *e)
{
	struct known *k = &p->known;
	size_t n;

	for (size_t i = 0; i < p->parts.names.n; i++)
		if (p->parts.blob[i].kind == PARTS_CONFIG)
			known_config(k, p->parts.blob[i].hex, p->parts.blob[i].text);
	if (known_tag(k, p->o->tag, e) < 0)
		return -1;
	char(*unknown)[DIGEST_HEX + 1] = list_unknown(p, &n);
	const struct known_wanted w = {(const char(*)[DIGEST_HEX + 1]) unknown, n,
				       p->o->format};
	known_remembered(k, &w);
	if (!k->pairs.has_image || is_any_lost(p))
		known_tags(k, &w, p->o->tag, false);
	if (p->o->other != NULL)
		known_tags(k, &w, p->o->tag, true);
	free(unknown);
	return 0;
}

static int ask(struct push *p, size_t i, const char *hex, uint64_t size, struct err *e)
{
	bool *is_there = &p->blob[i].is_there;
	int result = upload_has(p->o->registry, hex, size, is_there, e);

	if (result == 0)
		push_report(&p->parts.blob[i], hex,
			    *is_there ? "the registry has it"
				      : "the registry does not have it");
	return result;
}

/* Takes a blob from the other repository. When nothing may be written, only asks. */
static int mount(struct push *p, size_t i, const char *hex, uint64_t size, struct err *e)
{
	struct push_blob *b = &p->blob[i];
	struct buf text = {0};

	int result = p->o->read_only ? upload_has(p->o->other, hex, size, &b->is_there, e)
				     : upload_mount(p->o->registry, hex, p->o->other_path,
						    &b->is_there, &b->location, e);
	if (result == 0) {
		buf_addf(&text, "%s from %s",
			 !b->is_there      ? "cannot be mounted"
			 : p->o->read_only ? "can be mounted"
					   : "mounted",
			 p->o->other_path);
		push_report(&p->parts.blob[i], hex, text.data);
	}
	buf_release(&text);
	return result;
}

/* Finds out whether the registry has the blob of a layer. */
static int settle_layer(struct push *p, size_t i, struct err *e)
{
	struct parts_blob *b = &p->parts.blob[i];
	const struct pairs_blob *known =
	    pairs_find(&p->known.pairs, b->diff_id, p->o->format);
	int result = 0;

	if (known == NULL) {
		push_report(b, "", "no image that was read has it");
		return 0;
	}
	if (known->place == PAIRS_IN_TAG && !p->o->check) {
		p->blob[i].is_there = true;
		push_report(b, known->hex, "the image of the tag has it");
	} else if (known->place == PAIRS_ELSEWHERE) {
		result = mount(p, i, known->hex, known->size, e);
	} else {
		result = ask(p, i, known->hex, known->size, e);
	}
	if (p->blob[i].is_there) {
		memcpy(b->hex, known->hex, sizeof b->hex);
		b->size = known->size;
	}
	return result;
}

int push_settle_blob(struct push *p, size_t i, struct err *e)
{
	const struct parts_blob *b = &p->parts.blob[i];

	p->blob[i].is_there = !p->o->check && pairs_has_blob(&p->known.pairs, b->hex);
	if (p->blob[i].is_there) {
		push_report(b, b->hex, "the image of the tag has it");
		return 0;
	}
	if (ask(p, i, b->hex, b->size, e) < 0)
		return -1;
	if (p->blob[i].is_there || p->o->other == NULL || b->kind == PARTS_CONFIG)
		return 0;
	return mount(p, i, b->hex, b->size, e);
}

/* The blobs that are settled in parallel, and the first failure. */
struct settling {
	struct push *p;
	pthread_mutex_t lock;
	int result;
	struct err why;
};

static void settle(void *arg, size_t i)
{
	struct settling *s = arg;
	struct err why;
	int result = 0;

	if (s->p->parts.blob[i].kind == PARTS_LAYER)
		result = settle_layer(s->p, i, &why);
	else if (s->p->parts.blob[i].kind == PARTS_BLOB)
		result = push_settle_blob(s->p, i, &why);
	if (result == 0)
		return;
	pthread_mutex_lock(&s->lock);
	s->result = -1;
	s->why = why;
	pthread_mutex_unlock(&s->lock);
}

static int settle_all(struct push *p, struct err *e)
{
	struct settling s = {.p = p};

	pthread_mutex_init(&s.lock, NULL);
	pool_release(pool_start_wide(p->o->jobs, p->parts.names.n, settle, &s));
	pthread_mutex_destroy(&s.lock);
	if (s.result < 0)
		*e = s.why;
	return s.result;
}

int push_plan(struct push *p, struct err *e)
{
	if (learn(p, e) < 0)
		return -1;
	return settle_all(p, e);
}

void push_missing(const struct push *p, struct buf *out)
{
	struct strset seen = {0};

	for (size_t i = 0; i < p->parts.names.n; i++) {
		const struct parts_blob *b = &p->parts.blob[i];
		size_t before = seen.n;
		if (p->blob[i].is_there || b->diff_id == NULL)
			continue;
		strset_add(&seen, b->diff_id, DIGEST_HEX);
		if (seen.n > before)
			buf_addf(out, "sha256:%s\n", b->diff_id);
	}
	strset_release(&seen);
}
