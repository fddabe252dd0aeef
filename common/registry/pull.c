#include "registry/pull.h"

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/strset.h"
#include "image/image.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LAYERS_MAX = 500, /* each layer is an open file */
};

/* --- manifest and configuration --- */

/* Reads the manifest of the image. Follows indexes to it. */
static int read_manifest(struct pull *p, struct buf *text, struct err *e)
{
	char hex[DIGEST_HEX + 1], type[128];
	struct manifest_blob chosen;

	memcpy(hex, p->o->digest, sizeof hex);
	for (int depth = 0;; depth++) {
		manifest_release(&p->manifest);
		if (fetch_document(&p->fetch, "manifests", hex, text, type, e) < 0 ||
		    manifest_parse(&p->manifest, text->data, text->len,
				   *type != '\0' ? type : NULL, e) < 0)
			return -1;
		if (!p->manifest.is_index)
			break;
		if (depth == MANIFEST_NESTING)
			return err_set(e, "indexes are nested more than %d deep",
				       MANIFEST_NESTING);
		if (manifest_choose(&p->manifest, &p->o->platform, p->o->os, &chosen, e) <
		    0)
			return -1;
		inform("index sha256:%s: manifest sha256:%s is for %s/%s", hex,
		       chosen.hex, p->o->os, p->o->platform.arch);
		memcpy(hex, chosen.hex, sizeof hex);
	}
	if (p->manifest.n > LAYERS_MAX)
		return err_set(e, "%zu layers; at most %d are supported", p->manifest.n,
			       LAYERS_MAX);
	return 0;
}

/* Reads the configuration and its diff_ids. */
static int read_config(struct pull *p, struct err *e)
{
	char type[128];

	if (fetch_document(&p->fetch, "blobs", p->manifest.config.hex, &p->config_text,
			   type, e) < 0)
		return -1;
	p->config =
	    json_parse(p->config_text.data, p->config_text.len, "the configuration", e);
	if (p->config == NULL)
		return -1;
	int64_t n = image_diff_ids(p->config, &p->diff_id, e);
	if (n < 0)
		return -1;
	if ((size_t)n != p->manifest.n)
		return err_set(e,
			       "the manifest has %zu layers, the configuration has %zu",
			       p->manifest.n, (size_t)n);
	return 0;
}

static void came(void *arg, size_t bytes)
{
	struct pull *p = arg;

	p->came += bytes;
}

int pull_open(struct pull *p, const struct pull_options *o, struct err *e)
{
	struct buf text = {0};

	*p = (struct pull){.o = o};
	pthread_mutex_init(&p->lock, NULL);
	spool_init(&p->spool);
	p->fetch = (struct fetch){
	    .cache = o->cache,
	    .registry = o->registry,
	    .patience = o->patience,
	    .came = came,
	    .arg = p,
	    .spool = &p->spool,
	};
	int result = read_manifest(p, &text, e);
	buf_release(&text);
	return result < 0 ? -1 : read_config(p, e);
}

void pull_release(struct pull *p)
{
	manifest_release(&p->manifest);
	buf_release(&p->config_text);
	json_decref(p->config);
	free(p->diff_id);
	free(p->layer);
	free(p->order);
	spool_release(&p->spool);
	pthread_mutex_destroy(&p->lock);
}

/* --- layers --- */

/*
 * Lists the distinct layers. Layers are the same if both the blob and the diff_id are
 * equal.
 */
static void list_layers(struct pull *p)
{
	char both[2 * DIGEST_HEX + 1];
	struct strset seen = {0};

	p->layer = mem_zero(p->manifest.n, sizeof *p->layer);
	for (size_t i = 0; i < p->manifest.n; i++) {
		size_t before = seen.n;
		snprintf(both, sizeof both, "%s%s", p->diff_id[i],
			 p->manifest.layer[i].hex);
		strset_add(&seen, both, 2 * DIGEST_HEX);
		if (seen.n > before)
			p->layer[p->n_layers++] = (struct pull_layer){
			    .blob = &p->manifest.layer[i], .diff_id = p->diff_id[i]};
	}
	strset_release(&seen);
}

static int by_size(const void *a, const void *b)
{
	const struct pull_layer *x = *(struct pull_layer *const *)a,
				*y = *(struct pull_layer *const *)b;

	if (x->blob->size != y->blob->size)
		return x->blob->size < y->blob->size ? 1 : -1;
	return x < y ? -1 : x > y;
}

/*
 * Orders the downloads by size, largest first, so that a large layer is not the last to
 * finish.
 */
static void order_layers(struct pull *p)
{
	p->order = mem_zero(p->n_layers, sizeof *p->order);
	for (size_t i = 0; i < p->n_layers; i++)
		p->order[i] = &p->layer[i];
	qsort(p->order, p->n_layers, sizeof *p->order, by_size);
	for (size_t i = 0; i < p->n_layers; i++)
		p->order[i]->turn = i;
}

/* Marks the layer as begun. Returns false if it was. */
static bool begin(struct pull *p, struct pull_layer *layer)
{
	pthread_mutex_lock(&p->lock);
	bool is_mine = !layer->is_begun;
	layer->is_begun = true;
	pthread_mutex_unlock(&p->lock);
	return is_mine;
}

static void count(struct pull *p, const struct pull_layer *layer)
{
	pthread_mutex_lock(&p->lock);
	p->done++;
	p->reused += layer->file.is_cached;
	p->expected += layer->file.came - layer->blob->size;
	pthread_mutex_unlock(&p->lock);
}

/* The progress of all layers. */
static void sum(void *arg, struct progress_sum *s)
{
	struct pull *p = arg;

	pthread_mutex_lock(&p->lock);
	*s = (struct progress_sum){
	    .what = "layers",
	    .done = p->done,
	    .total = p->n_layers,
	    .bytes = p->came,
	    .all = p->expected,
	};
	pthread_mutex_unlock(&p->lock);
}

static void get_layer(struct pull *p, struct pull_layer *layer)
{
	struct err why;

	if (fetch_layer(&p->fetch, layer->blob, layer->diff_id, &layer->file, &why) < 0)
		p->o->fail(p->o->arg, &why);
}

static void fetch_one(void *arg, size_t i)
{
	struct pull *p = arg;
	struct pull_layer *layer = p->order[i];

	if (!begin(p, layer))
		return;
	get_layer(p, layer);
	count(p, layer);
}

void pull_start(struct pull *p)
{
	list_layers(p);
	order_layers(p);
	for (size_t i = 0; i < p->n_layers; i++)
		p->expected += p->layer[i].blob->size;
	progress_start(sum, p);
	p->pool = pool_start_wide(p->o->jobs, p->n_layers, fetch_one, p);
}

const struct pull_layer *pull_wait(struct pull *p, size_t i)
{
	pool_wait(p->pool, p->layer[i].turn);
	return &p->layer[i];
}

const struct pull_layer *pull_take(struct pull *p, size_t i)
{
	struct pull_layer *layer = &p->layer[i];
	struct fetch_layer known;

	if (!fetch_known(&p->fetch, layer->blob, layer->diff_id, &known))
		return pull_wait(p, i);
	if (!begin(p, layer)) {
		close(known.fd);
		return pull_wait(p, i);
	}
	if (fetch_is_right(layer->blob, &known)) {
		layer->file = known;
	} else {
		close(known.fd);
		get_layer(p, layer);
	}
	count(p, layer);
	return layer;
}

void pull_end(struct pull *p)
{
	pool_release(p->pool);
	p->pool = NULL;
	progress_stop();
}
