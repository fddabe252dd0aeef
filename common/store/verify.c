#include "store/verify.h"

#include "base/cache.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/progress.h"
#include "store/graph.h"
#include "store/nixdb.h"
#include "store/pathinfo.h"
#include "store/store.h"
#include "store/trust.h"

#include <inttypes.h>
#include <stdlib.h>

struct work {
	const struct verify *v;
	const struct graph *g;
	struct nixdb_record *record; /* of each node */
	struct pathinfo *found;      /* of each node */
	uint32_t *order;             /* of the nodes to verify */
	size_t n;
};

static const char *path_of(const struct work *w, size_t i)
{
	return w->g->paths.name[w->order[i]];
}

static void hash_path(void *arg, size_t i)
{
	static const struct cache none; /* the files count, not an earlier result */
	struct work *w = arg;

	pathinfo_find(&w->found[w->order[i]], w->v->store, path_of(w, i), &none);
}

static int compare(const struct work *w, size_t i, struct err *e)
{
	const struct nixdb_record *want = &w->record[w->order[i]];
	const struct pathinfo *got = &w->found[w->order[i]];
	char is[DIGEST_SRI], should[DIGEST_SRI];

	if (!digest_is_same(got->sha256, want->sha256)) {
		digest_sri(got->sha256, is);
		digest_sri(want->sha256, should);
		return err_set(e, "%s: NAR hash mismatch: registered: %s got: %s",
			       path_of(w, i), should, is);
	}
	if (got->size != want->size)
		return err_set(
		    e, "%s: NAR size mismatch: registered: %" PRIu64 " got: %" PRIu64,
		    path_of(w, i), want->size, got->size);
	return 0;
}

static int check_hashes(struct work *w, struct err *e)
{
	struct pool *pool = pool_start(w->n, hash_path, w);
	uint64_t bytes = 0, all = 0;
	int result = 0;

	for (size_t i = 0; i < w->n; i++)
		all += w->record[w->order[i]].size;
	for (size_t i = 0; i < w->n && result == 0; i++) {
		pool_wait(pool, i);
		result = compare(w, i, e);
		bytes += w->found[w->order[i]].size;
		progress("paths verified", i + 1, w->n, bytes, all);
	}
	progress_end();
	if (result < 0)
		die("%s", e->text); /* the pool would read all other paths before */
	pool_release(pool);
	return 0;
}

static int check_trust(const struct work *w, struct err *e)
{
	for (size_t i = 0; i < w->n; i++)
		if (trust_check(w->v->trust, w->v->store->dir, path_of(w, i),
				&w->record[w->order[i]], e) < 0)
			return err_prefix(e, "%s", path_of(w, i));
	return 0;
}

/* Sets the order of the nodes to verify. */
static int sort(struct work *w, const bool *skip, struct err *e)
{
	w->order = mem_zero(w->g->paths.n, sizeof *w->order);
	if (graph_sort(w->g, w->order, e) < 0)
		return -1;
	for (size_t i = 0; i < w->g->paths.n; i++)
		if (skip == NULL || !skip[w->order[i]])
			w->order[w->n++] = w->order[i];
	return 0;
}

int verify_graph(const struct verify *v, const struct graph *g, const bool *skip,
		 struct err *e)
{
	size_t n = g->paths.n;
	struct work w = {.v = v, .g = g};

	w.record = mem_zero(n, sizeof *w.record);
	w.found = mem_zero(n, sizeof *w.found);
	int result = sort(&w, skip, e);
	if (result == 0)
		result = nixdb_records(v->db, g, w.record, e);
	if (result == 0)
		result = check_trust(&w, e);
	if (result == 0)
		result = check_hashes(&w, e);
	for (size_t i = 0; i < n; i++)
		nixdb_record_release(&w.record[i]);
	free(w.record);
	free(w.found);
	free(w.order);
	return result;
}
