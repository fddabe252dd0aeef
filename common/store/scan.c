#include "store/scan.h"

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/strset.h"
#include "store/graph.h"
#include "store/hashindex.h"
#include "store/nar.h"
#include "store/scan-private.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BUFFER = 128 << 10, /* size of a read; fits into the L2 cache */
	CHUNK = 8 << 20,    /* part of a large file for one thread */
	/* Blocks overlap by this length: one less than the length of "/HASH-n". */
	CONTEXT = STORE_HASH + 2,
	JOBS_MAX = 4096, /* files that may wait for a thread */
	/*
	 * For one path, at most this many hashes of missing paths are kept. A result with
	 * more is not cached.
	 */
	STRANGERS_MAX = 100000,
	THREADS = 64,
};

struct scan {
	const struct store *store;
	const struct cache *cache;
	struct hashindex hashes;
};

struct scan *scan_open(const struct store *store, const struct cache *cache,
		       struct err *e)
{
	struct scan *s = mem_zero(1, sizeof *s);

	s->store = store;
	s->cache = cache;
	if (hashindex_list(&s->hashes, store, e) < 0) {
		scan_close(s);
		return NULL;
	}
	return s;
}

void scan_close(struct scan *s)
{
	if (s == NULL)
		return;
	hashindex_release(&s->hashes);
	free(s);
}

const char *scan_find(const struct scan *s, const char *hash, struct err *e)
{
	const struct hashindex_entry *found = hashindex_find(&s->hashes, hash);

	e->text[0] = '\0';
	if (found == NULL)
		return NULL;
	if (found->twin != NULL) {
		err_set(e, "%s/%s and %s have the same hash part", s->store->dir,
			found->name, found->twin->name);
		return NULL;
	}
	return found->name;
}

/* --- the scan --- */

/* A store path during its scan. */
struct visit {
	uint32_t node;
	const char *path; /* owned by the graph */
	char *where;      /* path on this machine */
	char key[DIGEST_HEX + 1];
	uint64_t size;
	struct strset found; /* hashes of existing paths, and strangers */
	size_t n_strangers;
	size_t pending; /* unfinished jobs */
	bool recalled;
};

/* A job of a thread: the walk of a store path, or a part of a file in it. */
struct scan_job {
	struct visit *visit;
	char *file; /* owned; NULL for the walk */
	uint64_t offset, size;
};

/*
 * The state of scan_closure(). The nodes from `begun` on are not walked yet. Jobs have
 * priority over new walks.
 */
struct run {
	const struct scan *s;
	struct graph *g;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct scan_job *jobs; /* used as a stack */
	size_t n_jobs, cap_jobs;
	struct visit **visits; /* `begun` visits */
	size_t begun, cap_visits;
	size_t n_busy, n_idle; /* numbers of threads */
	bool failed;
	struct err why;
	size_t done;     /* paths */
	uint64_t n_read; /* bytes of files */
};

/* The state of a thread. `found` belongs to the visit of its job. */
struct worker {
	struct run *run;
	struct visit *visit;
	char *buffer; /* NULL until the first file is read */
	struct strset found;
	size_t n_strangers;
	const struct hashindex_entry *last; /* last result */
	const char *text, *end;             /* the text during its scan */
};

static void on_hash(struct worker *w, const struct hashindex_entry *entry,
		    const char *hash)
{
	if (entry != w->last)
		strset_add(&w->found, hash, STORE_HASH);
	w->last = entry;
}

/*
 * Remembers a hash that belongs to no path yet ("stranger"). The path may be added to the
 * store later, and then a cached result must include it.
 */
static void on_stranger(struct worker *w, const char *hash)
{
	if (store_base_len(hash, (size_t)(w->end - hash)) == 0 ||
	    w->n_strangers > STRANGERS_MAX)
		return;
	size_t before = w->found.n;
	strset_add(&w->found, hash, STORE_HASH);
	w->n_strangers += w->found.n - before;
}

static void on_run(void *arg, const char *run, size_t len)
{
	struct worker *w = arg;
	const struct scan *s = w->run->s;
	const struct hashindex_entry *entry = NULL;

	for (const char *hash = run; hash + STORE_HASH <= run + len; hash++) {
		if (!hashindex_may_have(&s->hashes, hash))
			continue;
		entry = hashindex_find(&s->hashes, hash);
		if (entry != NULL)
			on_hash(w, entry, hash);
	}
	if (entry == NULL && len == STORE_HASH && run != w->text && run[-1] == '/')
		on_stranger(w, run);
}

static void scan_text(void *arg, const char *text, size_t len)
{
	struct worker *w = arg;

	w->text = text;
	w->end = text + len;
	scan_runs(text, len, on_run, w);
}

static int scan_open_file(struct worker *w, const struct scan_job *job, int fd,
			  struct err *e)
{
	uint64_t stop = job->size - job->offset > CHUNK ? job->offset + CHUNK : job->size;
	uint64_t at = job->offset > 0 ? job->offset - CONTEXT : 0;
	size_t kept = 0; /* bytes of the last block before this block */

	if (w->buffer == NULL)
		w->buffer = mem_zero(CONTEXT + BUFFER + 1, 1);
	char *block = w->buffer + CONTEXT;
	while (at < stop) {
		size_t want = stop - at < BUFFER ? (size_t)(stop - at) : BUFFER;
		/* Ask for one more byte at the end, to detect that the file has grown. */
		size_t ask = at + want == job->size ? want + 1 : want;
		ssize_t n = pread(fd, block, ask, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(e, "%s", job->file);
		if (n == 0 || (size_t)n > want)
			return err_set(e, "%s: changed while it was read", job->file);
		size_t len = kept + (size_t)n;
		scan_text(w, block - kept, len);
		size_t keep = len < CONTEXT ? len : CONTEXT;
		memmove(block - keep, block + n - keep, keep);
		kept = keep;
		at += (uint64_t)n;
	}
	return 0;
}

static int scan_file(struct worker *w, const struct scan_job *job, struct err *e)
{
	int fd = open(job->file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return err_set_errno(e, "%s", job->file);
	int result = scan_open_file(w, job, fd, e);
	close(fd);
	return result;
}

/* Adds the job to the queue. Returns false if the queue is full. */
static bool push_job(struct run *r, const struct scan_job *job)
{
	pthread_mutex_lock(&r->lock);
	bool room = r->n_jobs < JOBS_MAX;
	if (room) {
		r->jobs = mem_grow(r->jobs, &r->cap_jobs, r->n_jobs + 1, sizeof *r->jobs);
		r->jobs[r->n_jobs++] = *job;
		job->visit->pending++;
		if (r->n_idle > 0)
			pthread_cond_signal(&r->changed);
	}
	pthread_mutex_unlock(&r->lock);
	return room;
}

static int on_file(void *arg, const char *path, uint64_t size, struct err *e)
{
	struct worker *w = arg;
	struct scan_job job = {.visit = w->visit, .size = size};
	int result = 0;

	for (; result == 0 && job.offset < size; job.offset += CHUNK) {
		job.file = mem_strdup(path);
		if (push_job(w->run, &job))
			continue;
		result = scan_file(w, &job, e);
		free(job.file);
	}
	return result;
}

static struct visit *begin(struct run *r)
{
	struct visit *v = mem_zero(1, sizeof *v);
	struct buf where = {0};

	v->node = (uint32_t)r->begun;
	v->path = r->g->paths.name[v->node];
	v->pending = 1;
	store_locate(r->s->store, v->path, &where);
	v->where = where.data;
	r->visits = mem_grow(r->visits, &r->cap_visits, r->begun + 1, sizeof *r->visits);
	r->visits[r->begun++] = v;
	return v;
}

static int walk(struct worker *w, struct visit *v, struct err *e)
{
	const struct scan *s = w->run->s;
	struct nar_visitor visitor = {.file = on_file, .text = scan_text, .arg = w};
	const char *base = v->path + strlen(s->store->dir) + 1;

	if (scan_key(v->path, v->where, v->key, e) < 0)
		return -1;
	const char *entry = scan_find(s, base, e);
	if (entry == NULL && e->text[0] != '\0')
		return -1;
	if (entry == NULL || strcmp(entry, base) != 0)
		return err_set(e, "%s: not a path of the store", v->path);
	v->recalled = scan_recall(s->cache, v->key, &v->size, &v->found);
	return v->recalled ? 0 : nar_walk(v->where, &visitor, &v->size, e);
}

/*
 * Adds the results of the thread to the visit. The caller holds the lock, here and below.
 */
static void merge(struct worker *w, struct visit *v)
{
	for (size_t i = 0; i < w->found.n; i++) {
		const char *hash = w->found.name[i];
		bool is_stranger = hashindex_find(&w->run->s->hashes, hash) == NULL;
		if (is_stranger && v->n_strangers > STRANGERS_MAX)
			continue;
		size_t before = v->found.n;
		strset_add(&v->found, hash, STORE_HASH);
		if (is_stranger)
			v->n_strangers += v->found.n - before;
	}
	strset_release(&w->found);
	w->n_strangers = 0;
	w->last = NULL;
}

/*
 * Called after the last job of a visit. Adds its references to the graph, so that they
 * are scanned next.
 */
static int define(struct run *r, struct visit *v, struct err *e)
{
	uint32_t *refs = mem_zero(v->found.n, sizeof *refs);
	size_t n = 0;
	struct buf path = {0};

	buf_addf(&path, "%s/", r->s->store->dir);
	size_t dir_len = path.len;
	e->text[0] = '\0';
	for (size_t i = 0; i < v->found.n && e->text[0] == '\0'; i++) {
		const char *name = scan_find(r->s, v->found.name[i], e);
		if (name == NULL)
			continue;
		path.len = dir_len;
		buf_addstr(&path, name);
		refs[n++] = graph_node(r->g, path.data, path.len);
	}
	buf_release(&path);
	strset_release(&v->found);
	graph_define(r->g, v->node, v->size, refs, n);
	r->done++;
	inform("%s: %s, %zu references", v->path, v->recalled ? "cached" : "scanned", n);
	return e->text[0] == '\0' ? 0 : -1;
}

static void do_job(struct worker *w, struct scan_job *job)
{
	struct run *r = w->run;
	struct visit *v = w->visit = job->visit;
	uint64_t left = job->file != NULL ? job->size - job->offset : 0;
	struct err e;

	pthread_mutex_unlock(&r->lock);
	int result = job->file == NULL ? walk(w, v, &e) : scan_file(w, job, &e);
	free(job->file);
	pthread_mutex_lock(&r->lock);
	merge(w, v);
	r->n_read += left < CHUNK ? left : CHUNK;
	if (result == 0 && --v->pending == 0) {
		pthread_mutex_unlock(&r->lock);
		if (!v->recalled && v->n_strangers <= STRANGERS_MAX)
			scan_remember(r->s->cache, v->key, v->size, &v->found);
		pthread_mutex_lock(&r->lock);
		result = define(r, v, &e);
	}
	if (result < 0 && !r->failed) {
		r->failed = true;
		r->why = e;
	}
}

static void work(void *arg, size_t i)
{
	struct run *r = arg;
	struct worker w = {.run = r};

	(void)i;
	pthread_mutex_lock(&r->lock);
	while (!r->failed) {
		struct scan_job job;
		if (r->n_jobs > 0) {
			job = r->jobs[--r->n_jobs];
		} else if (r->begun < r->g->paths.n) {
			job = (struct scan_job){.visit = begin(r)};
		} else if (r->n_busy > 0) {
			r->n_idle++;
			pthread_cond_wait(&r->changed, &r->lock);
			r->n_idle--;
			continue;
		} else {
			break;
		}
		r->n_busy++;
		do_job(&w, &job);
		r->n_busy--;
		if (r->n_idle > 0 &&
		    (r->n_busy == 0 || r->begun < r->g->paths.n || r->failed))
			pthread_cond_broadcast(&r->changed);
	}
	pthread_mutex_unlock(&r->lock);
	free(w.buffer);
}

/* The progress of the scan. How many paths the closure will have is not known. */
static void sum(void *arg, struct progress_sum *s)
{
	struct run *r = arg;

	pthread_mutex_lock(&r->lock);
	*s = (struct progress_sum){
	    .what = "paths scanned", .done = r->done, .bytes = r->n_read};
	pthread_mutex_unlock(&r->lock);
}

int scan_closure(const struct scan *s, struct graph *g, struct err *e)
{
	struct run r = {
	    .s = s,
	    .g = g,
	    .lock = PTHREAD_MUTEX_INITIALIZER,
	    .changed = PTHREAD_COND_INITIALIZER,
	};

	/*
	 * Each job of the pool is one thread of the scan, which runs until the scan ends.
	 */
	progress_start(sum, &r);
	pool_release(pool_start(THREADS, work, &r));
	progress_stop();
	for (size_t i = 0; i < r.n_jobs; i++)
		free(r.jobs[i].file);
	for (size_t i = 0; i < r.begun; i++) {
		strset_release(&r.visits[i]->found);
		free(r.visits[i]->where);
		free(r.visits[i]);
	}
	free(r.jobs);
	free(r.visits);
	if (r.failed)
		*e = r.why;
	return r.failed ? -1 : 0;
}
