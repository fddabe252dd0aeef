#include "registry/push.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/pool.h"
#include "registry/packed.h"
#include "registry/registry.h"
#include "registry/sender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CORES_FOR_TWO = 4, COMPRESSORS_MAX = 2 };

static void went(void *arg, size_t bytes)
{
	struct push *p = arg;

	pthread_mutex_lock(&p->lock);
	p->went += bytes;
	if (p->o->show != NULL)
		p->o->show(p->done, p->total, p->went);
	pthread_mutex_unlock(&p->lock);
}

int push_open(struct push *p, const struct push_options *o,
	      const struct image_choice *choice, struct err *e)
{
	*p = (struct push){.o = o};
	pthread_mutex_init(&p->lock, NULL);
	p->upload = (struct upload){.registry = o->registry, .went = went, .arg = p};
	p->known.fetch = (struct fetch){
	    .cache = o->cache, .registry = o->registry, .patience = o->patience};
	p->known.other = p->known.fetch;
	p->known.other.registry = o->other;
	if (parts_open(&p->parts, choice, e) < 0)
		return -1;
	p->blob = mem_zero(p->parts.names.n, sizeof *p->blob);
	return 0;
}

void push_release(struct push *p)
{
	for (size_t i = 0; p->blob != NULL && i < p->parts.names.n; i++)
		buf_release(&p->blob[i].location);
	free(p->blob);
	known_release(&p->known);
	parts_release(&p->parts);
	pthread_mutex_destroy(&p->lock);
}

/* --- what the registry has --- */

/*
 * Lists the layers to be compressed: all of them, or those that are not known. The caller
 * frees the list.
 */
static char (*list_layers(const struct push *p, bool all, size_t *n))[DIGEST_HEX + 1]
{
	char(*list)[DIGEST_HEX + 1] = mem_zero(p->parts.names.n, sizeof *list);

	*n = 0;
	for (size_t i = 0; i < p->parts.names.n; i++) {
		const struct parts_blob *b = &p->parts.blob[i];
		if (b->kind != PARTS_LAYER ||
		    (!all && known_find(&p->known, b->diff_id, p->o->format) != NULL))
			continue;
		memcpy(list[(*n)++], b->diff_id, DIGEST_HEX + 1);
	}
	return list;
}

/* Whether a layer is neither known nor in the archive. */
static bool is_any_lost(const struct push *p)
{
	for (size_t i = 0; i < p->parts.names.n; i++) {
		const struct parts_blob *b = &p->parts.blob[i];
		if (b->kind == PARTS_LAYER && b->place == NULL &&
		    known_find(&p->known, b->diff_id, p->o->format) == NULL)
			return true;
	}
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
	char(*unknown)[DIGEST_HEX + 1] = list_layers(p, false, &n);
	const struct known_wanted w = {(const char(*)[DIGEST_HEX + 1]) unknown, n,
				       p->o->format};
	known_remembered(k, &w);
	if (!k->has_image || is_any_lost(p))
		known_tags(k, &w, p->o->tag, false);
	if (p->o->other != NULL)
		known_tags(k, &w, p->o->tag, true);
	free(unknown);
	return 0;
}

/* Takes a blob from the other repository. When nothing may be written, only asks. */
static int mount(struct push *p, size_t i, const char *hex, uint64_t size, struct err *e)
{
	struct push_blob *b = &p->blob[i];

	if (p->o->read_only)
		return upload_has(p->o->other, hex, size, &b->is_there, e);
	return upload_mount(p->o->registry, hex, p->o->other_path, &b->is_there,
			    &b->location, e);
}

/* Finds out whether the registry has the blob of a layer. */
static int settle_layer(struct push *p, size_t i, struct err *e)
{
	struct parts_blob *b = &p->parts.blob[i];
	const struct known_blob *known = known_find(&p->known, b->diff_id, p->o->format);
	int result = 0;

	if (known == NULL)
		return 0;
	if (known->place == KNOWN_IN_TAG)
		p->blob[i].is_there = true;
	else if (known->place == KNOWN_ELSEWHERE)
		result = mount(p, i, known->hex, known->size, e);
	else
		result = upload_has(p->o->registry, known->hex, known->size,
				    &p->blob[i].is_there, e);
	if (p->blob[i].is_there) {
		memcpy(b->hex, known->hex, sizeof b->hex);
		b->size = known->size;
	}
	return result;
}

/* The same for a blob whose digest the archive states. */
static int settle_blob(struct push *p, size_t i, struct err *e)
{
	const struct parts_blob *b = &p->parts.blob[i];

	p->blob[i].is_there = known_has_blob(&p->known, b->hex);
	if (p->blob[i].is_there)
		return 0;
	if (upload_has(p->o->registry, b->hex, b->size, &p->blob[i].is_there, e) < 0)
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
		result = settle_blob(s->p, i, &why);
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

/* --- layers --- */

/* Fails if the archive does not have a blob that must be sent. */
static int check_places(const struct push *p, struct err *e)
{
	const char *file = p->parts.archive.file;

	for (size_t i = 0; i < p->parts.names.n; i++) {
		const struct parts_blob *b = &p->parts.blob[i];
		if (p->blob[i].is_there || b->kind == PARTS_CONFIG || b->place != NULL)
			continue;
		return err_set(e,
			       "%s: layer %zu, sha256:%s, is not in the archive and the "
			       "registry does not have it",
			       file, b->layer + 1,
			       b->diff_id != NULL ? b->diff_id : b->hex);
	}
	return 0;
}

/* The blobs to send, in the order in which they are made. */
struct sending {
	struct push *p;
	struct sender *sender;
	struct job *job;
	size_t n;
	/* Compressors that no thread uses now; for p->lock. */
	struct compress *idle[COMPRESSORS_MAX];
	size_t n_idle;
};

struct job {
	size_t i; /* of the blob */
	uint64_t size;
	bool is_posted;
	struct sending *s;
	struct sender_item item;
};

static struct job *job_of(struct sender_item *item)
{
	return (struct job *)((char *)item - offsetof(struct job, item));
}

static void post(void *arg)
{
	struct job *j = arg;

	j->is_posted = true;
	sender_post(j->s->sender, &j->item);
}

/* Called when a blob cannot be sent. */
static __attribute__((noreturn)) void failed(void *arg, const struct err *why)
{
	const struct push *p = arg;

	p->o->fail(p->o->arg, why);
}

/* Called when a blob is in the registry. */
static void sent(void *arg, struct sender_item *item)
{
	struct push *p = arg;
	struct job *j = job_of(item);
	struct parts_blob *b = &p->parts.blob[j->i];

	memcpy(b->hex, item->packed.hex, sizeof b->hex);
	b->size = item->packed.size;
	packed_release(&item->packed);
	pthread_mutex_lock(&p->lock);
	p->blob[j->i].is_there = true;
	p->blob[j->i].is_sent = !item->was_there;
	p->done += b->kind != PARTS_CONFIG;
	if (p->o->show != NULL)
		p->o->show(p->done, p->total, p->went);
	pthread_mutex_unlock(&p->lock);
}

/* Compresses a layer. A compressor is kept for the next layers. */
static int make_layer(struct job *j, const struct parts_blob *b, struct err *e)
{
	struct sending *s = j->s;
	struct push *p = s->p;
	struct compress *c = NULL;

	pthread_mutex_lock(&p->lock);
	if (s->n_idle > 0)
		c = s->idle[--s->n_idle];
	pthread_mutex_unlock(&p->lock);
	if (c == NULL)
		c = packed_compressor(p->o->format, p->o->level);
	int result =
	    packed_layer(&j->item.packed, &p->parts.part[b->part].image, b->layer, c, e);
	pthread_mutex_lock(&p->lock);
	s->idle[s->n_idle++] = c;
	pthread_mutex_unlock(&p->lock);
	return result;
}

/* Makes the bytes of a blob. */
static int make(struct job *j, struct err *e)
{
	struct push *p = j->s->p;
	const struct parts_blob *b = &p->parts.blob[j->i];
	struct packed *packed = &j->item.packed;

	if (b->kind == PARTS_BLOB)
		return packed_member(packed, &p->parts.archive.index, b->place, b->hex,
				     b->diff_id, e);
	if (packed_begin(packed, e) < 0)
		return -1;
	if (b->kind == PARTS_CONFIG)
		return packed_text(packed, b->text->data, b->text->len, e);
	packed->mark = UPLOAD_CHUNK;
	packed->reached = post;
	packed->arg = j;
	return make_layer(j, b, e);
}

static void run_job(void *arg, size_t i)
{
	struct sending *s = arg;
	struct job *j = &s->job[i];
	struct err why;

	sender_wait(s->sender);
	if (make(j, &why) < 0)
		s->p->o->fail(s->p->o->arg, &why);
	if (!j->is_posted)
		post(j);
}

static int by_size(const void *a, const void *b)
{
	const struct job *x = a, *y = b;

	if (x->size != y->size)
		return x->size < y->size ? 1 : -1;
	return x->i < y->i ? -1 : x->i > y->i;
}

/*
 * Lists the blobs to send, largest first, so that a large one is not the last to finish.
 */
static void list_jobs(struct sending *s, bool configs)
{
	struct push *p = s->p;

	s->job = mem_zero(p->parts.names.n, sizeof *s->job);
	for (size_t i = 0; i < p->parts.names.n; i++) {
		const struct parts_blob *b = &p->parts.blob[i];
		if (p->blob[i].is_there || (b->kind == PARTS_CONFIG) != configs)
			continue;
		/* Others were asked for already. */
		bool ask = b->kind == PARTS_LAYER && p->blob[i].location.len == 0;
		s->job[s->n++] = (struct job){
		    .i = i,
		    .size = b->place != NULL ? b->place->size : 0,
		    .item = {.location = p->blob[i].location.data,
			     .ask = ask && !p->is_forced},
		};
	}
	qsort(s->job, s->n, sizeof *s->job, by_size);
	for (size_t i = 0; i < s->n; i++)
		s->job[i].s = s;
}

/*
 * How many layers are compressed at once. A layer keeps all cores busy only in its
 * middle. But a zstd compressor, and a gzip compressor with many cores, need so much
 * memory that only one of them stays within the limit of a tool.
 */
static size_t compressors(const struct push *p)
{
	bool is_small = p->o->format == COMPRESS_GZIP && pool_cores() <= CORES_FOR_TWO;

	return is_small ? COMPRESSORS_MAX : 1;
}

/* Sends the layers, or the configurations. */
static void send_blobs(struct push *p, bool configs)
{
	struct sending s = {.p = p};
	const struct sender_calls calls = {failed, sent, p};

	list_jobs(&s, configs);
	if (!configs)
		p->total = s.n;
	if (s.n > 0) {
		s.sender =
		    sender_new(&p->upload, p->o->jobs < s.n ? p->o->jobs : s.n, &calls);
		pool_release(pool_start_wide(compressors(p), s.n, run_job, &s));
		sender_end(s.sender);
	}
	while (s.n_idle > 0) {
		struct compress *c = s.idle[--s.n_idle];
		c->release(c);
	}
	free(s.job);
}

/* Asks for the configurations that are not known. */
static int settle_configs(struct push *p, struct err *e)
{
	for (size_t i = 0; i < p->parts.names.n; i++)
		if (p->parts.blob[i].kind == PARTS_CONFIG && !p->is_forced &&
		    !p->blob[i].is_there && settle_blob(p, i, e) < 0)
			return -1;
	return 0;
}

/* --- documents --- */

/* Stores a manifest by its digest, unless the tag refers to it already. */
static int put_by_digest(struct push *p, const char *hex, const struct buf *text,
			 const char *type, long *status, struct err *e)
{
	char what[sizeof "sha256:" + DIGEST_HEX];
	bool unused;

	*status = 0;
	if (strset_find(&p->known.manifests, hex, DIGEST_HEX) != STRSET_NONE)
		return 0;
	snprintf(what, sizeof what, "sha256:%s", hex);
	return upload_manifest(&p->upload, what, text, type, status, &unused, e);
}

static int put_manifests(struct push *p, long *status, struct err *e)
{
	for (size_t i = 0; i < p->parts.n; i++) {
		const struct part *part = &p->parts.part[i];
		if (put_by_digest(p, part->hex, &part->text, part->type, status, e) < 0)
			return -1;
	}
	if (!p->parts.is_index)
		return 0;
	return put_by_digest(p, p->parts.index_hex, &p->parts.index, p->parts.index_type,
			     status, e);
}

static int put_tag(struct push *p, struct err *e)
{
	const struct part *part = &p->parts.part[0];
	bool is_index = p->parts.is_index, unused;
	long status;

	if (strcmp(p->known.tag, is_index ? p->parts.index_hex : part->hex) == 0)
		return 0;
	return upload_manifest(
	    &p->upload, p->o->tag, is_index ? &p->parts.index : &part->text,
	    is_index ? p->parts.index_type : part->type, &status, &unused, e);
}

/* --- all of it --- */

/*
 * The registry rejected a manifest. It may lack blobs that it was believed to have, so
 * marks these as missing. If it claims to have all of them, marks all. Returns whether
 * there are any.
 */
static bool doubt(struct push *p)
{
	bool has, is_any = false;
	size_t n = p->parts.names.n;
	struct err unused;

	p->is_forced = true;
	for (size_t i = 0; i < n; i++) {
		const struct parts_blob *b = &p->parts.blob[i];
		if (p->blob[i].is_sent)
			continue;
		if (upload_has(p->o->registry, b->hex, b->size, &has, &unused) == 0 &&
		    has)
			continue;
		p->blob[i].is_there = false;
		is_any = true;
	}
	for (size_t i = 0; i < n && !is_any; i++)
		p->blob[i].is_there = p->blob[i].is_sent;
	for (size_t i = 0; i < n; i++)
		is_any = is_any || !p->blob[i].is_there;
	return is_any;
}

/* Stores the blobs, and the manifests by digest. */
static int send_once(struct push *p, long *status, struct err *e)
{
	*status = 0;
	if (check_places(p, e) < 0)
		return -1;
	send_blobs(p, false);
	if (settle_configs(p, e) < 0)
		return -1;
	send_blobs(p, true);
	parts_write(&p->parts, p->o->format);
	return put_manifests(p, status, e);
}

static void count(struct push *p)
{
	for (size_t i = 0; i < p->parts.names.n; i++)
		*(p->blob[i].is_sent ? &p->sent : &p->reused) += p->parts.blob[i].size;
}

/* Remembers in the cache which manifest has the layers of each part. */
static void remember(const struct push *p)
{
	for (size_t i = 0; i < p->parts.n; i++) {
		const struct part *part = &p->parts.part[i];
		char(*list)[DIGEST_HEX + 1] = mem_zero(part->n, sizeof *list);
		size_t n = 0;
		for (size_t k = 0; k < part->n; k++) {
			const struct parts_blob *b = &p->parts.blob[part->layer[k]];
			if (b->kind == PARTS_LAYER)
				memcpy(list[n++], b->diff_id, DIGEST_HEX + 1);
		}
		const struct known_wanted w = {(const char(*)[DIGEST_HEX + 1]) list, n,
					       p->o->format};
		if (strset_find(&p->known.manifests, part->hex, DIGEST_HEX) ==
		    STRSET_NONE)
			known_remember(&p->known, &w, part->hex);
		free(list);
	}
}

int push_send(struct push *p, struct err *e)
{
	long status;
	int result = send_once(p, &status, e);

	if (result < 0 && (status == 400 || status == 404) && doubt(p))
		result = send_once(p, &status, e);
	if (result < 0 || put_tag(p, e) < 0)
		return -1;
	count(p);
	remember(p);
	return 0;
}
