#include "registry/push.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/progress.h"
#include "image/packed.h"
#include "registry/push-private.h"
#include "registry/sender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double usual_ratio = 0.4; /* of a compressed layer to its tar */

enum { CORES_FOR_TWO = 4, COMPRESSORS_MAX = 2 };

/* The blobs to send, in the order in which they are made. */
struct sending {
	struct push *p;
	struct sender *sender;
	struct job *job;
	size_t n;
	bool configs; /* configurations, otherwise layers */
	/* Compressors that no thread uses now; for p->lock. */
	struct compress *idle[COMPRESSORS_MAX];
	size_t n_idle;
};

struct job {
	size_t i; /* of the blob */
	uint64_t size;
	bool is_posted;
	double begun;
	struct progress_task task;
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

/* Reports that a blob is in the registry. */
static void report(const struct job *j, const struct parts_blob *b, bool was_there)
{
	char text[96];

	snprintf(text, sizeof text, "sent, %.1f MB in %.1f s", (double)b->size / 1e6,
		 clock_now() - j->begun);
	push_report(b, b->hex, was_there ? "the registry has it" : text);
}

/* Called when a blob is in the registry. */
static void sent(void *arg, struct sender_item *item)
{
	struct push *p = arg;
	struct job *j = job_of(item);
	struct parts_blob *b = &p->parts.blob[j->i];

	progress_finish(&j->task);
	pthread_mutex_lock(&p->lock);
	memcpy(b->hex, item->packed.hex, sizeof b->hex);
	b->size = item->packed.size;
	p->blob[j->i].is_there = true;
	p->blob[j->i].is_sent = !item->was_there;
	pthread_mutex_unlock(&p->lock);
	packed_release(&item->packed);
	report(j, b, item->was_there);
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

static const char *const made[PROGRESS_STEPS] = {"compressing", "uploading"};
static const char *const checked[PROGRESS_STEPS] = {"checking", "uploading"};

static void run_job(void *arg, size_t i)
{
	struct sending *s = arg;
	struct job *j = &s->job[i];
	const struct parts_blob *b = &s->p->parts.blob[j->i];
	struct err why;

	sender_wait(s->sender);
	j->begun = clock_now();
	progress_begin(&j->task, b->kind == PARTS_BLOB ? checked : made,
		       *b->hex != '\0' ? b->hex : b->diff_id);
	j->item.packed.task = &j->task;
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
static void list_jobs(struct sending *s)
{
	struct push *p = s->p;

	s->job = mem_zero(p->parts.names.n, sizeof *s->job);
	for (size_t i = 0; i < p->parts.names.n; i++) {
		const struct parts_blob *b = &p->parts.blob[i];
		if (p->blob[i].is_there || (b->kind == PARTS_CONFIG) != s->configs)
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

/*
 * The progress of all layers. How many bytes the other layers will have is estimated from
 * those that are compressed.
 */
static void sum(void *arg, struct progress_sum *out)
{
	struct sending *s = arg;
	struct push *p = s->p;
	uint64_t plain = 0, packed = 0, left = 0;

	pthread_mutex_lock(&p->lock);
	*out = (struct progress_sum){.what = s->configs ? "configurations" : "layers",
				     .total = s->n};
	for (size_t i = 0; i < s->n; i++) {
		const struct job *j = &s->job[i];
		const struct parts_blob *b = &p->parts.blob[j->i];
		const struct push_blob *state = &p->blob[j->i];
		uint64_t size = j->task.step[PACKED_USE].total;
		out->done += state->is_there;
		out->bytes += j->task.step[PACKED_USE].done;
		if (size > 0 && b->kind == PARTS_LAYER) {
			plain += j->size;
			packed += size;
		}
		if (b->kind == PARTS_LAYER && size == 0)
			left += j->size;
		else if (!state->is_there || state->is_sent)
			out->all += b->kind == PARTS_LAYER ? size : b->size;
	}
	pthread_mutex_unlock(&p->lock);
	out->is_estimate = left > 0;
	double ratio = plain > 0 ? (double)packed / (double)plain : usual_ratio;
	out->all += (uint64_t)((double)left * ratio);
	if (out->all < out->bytes)
		out->all = out->bytes;
}

void push_blobs(struct push *p, bool configs)
{
	struct sending s = {.p = p, .configs = configs};
	const struct sender_calls calls = {failed, sent, p};

	list_jobs(&s);
	if (s.n > 0) {
		progress_start(sum, &s);
		s.sender =
		    sender_new(&p->upload, p->o->jobs < s.n ? p->o->jobs : s.n, &calls);
		pool_release(pool_start_wide(compressors(p), s.n, run_job, &s));
		sender_end(s.sender);
		progress_stop();
	}
	while (s.n_idle > 0) {
		struct compress *c = s.idle[--s.n_idle];
		c->release(c);
	}
	free(s.job);
}
