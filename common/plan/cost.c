#include "plan/cost.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "plan/adjacency.h"
#include "plan/plan.h"
#include "store/graph.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = 64 };

void cost_release(struct cost *c)
{
	free(c->layer);
	*c = (struct cost){0};
}

static bool is_before(const struct graph *g, uint32_t a, uint32_t b)
{
	if (g->node[a].size != g->node[b].size)
		return g->node[a].size > g->node[b].size;
	return strcmp(g->paths.name[a], g->paths.name[b]) < 0;
}

/*
 * Computes the bytes that an average update re-sends if each path has its own layer. The
 * result is the sum over all paths of size times the probability that one of the path's
 * needs is updated. A complete table of needs has n * n bits. So WORD updates at a time
 * are passed up the graph.
 */
static double compute_bound(const struct graph *g, const struct adjacency *r,
			    const double *chance, const bool *planned)
{
	uint64_t *mask = mem_zero(r->n, sizeof *mask);
	double *sums = mem_zero(WORD / 8 * 256, sizeof *sums), bound = 0;

	for (size_t start = 0; start < r->n; start += WORD) {
		memset(mask, 0, r->n * sizeof *mask);
		for (size_t i = start; i < r->n && i < start + WORD; i++)
			mask[i] = (uint64_t)1 << (i - start);
		for (size_t at = 0; at < WORD / 8; at++)
			for (size_t b = 1; b < 256; b++) {
				size_t low = 0;
				while ((b >> low & 1) == 0)
					low++;
				size_t i = start + at * 8 + low;
				sums[at << 8 | b] = sums[at << 8 | (b & (b - 1))] +
						    (i < r->n ? chance[i] : 0);
			}
		for (size_t v = start; v < r->n; v++) {
			for (size_t i = r->down.first[v]; i < r->down.first[v + 1]; i++)
				mask[v] |= mask[r->down.to[i]];
			double sum = 0;
			uint64_t word = planned[v] ? mask[v] : 0;
			for (size_t at = 0; word != 0; at++, word >>= 8)
				sum += sums[at << 8 | (word & 255)];
			bound += (double)g->node[r->node[v]].size * sum;
		}
	}
	free(sums);
	free(mask);
	return bound;
}

int cost_init(struct cost *c, const struct graph *g, const struct plan *p,
	      const double *weight, struct err *e)
{
	struct adjacency r;
	struct adjacency_mark needs, below;
	double sum = 0, chain = 0;

	*c = (struct cost){.n = p->n};
	if (adjacency_init(&r, g, e) < 0) {
		adjacency_release(&r);
		return -1;
	}
	double *chance = mem_zero(r.n, sizeof *chance);
	uint64_t *sent = mem_zero(r.n, sizeof *sent);
	bool *planned = mem_zero(r.n, sizeof *planned);
	uint32_t *place = mem_zero(r.n, sizeof *place);
	for (size_t v = 0; v < r.n; v++) {
		place[r.node[v]] = (uint32_t)v;
		chance[v] = weight == NULL ? 1 : weight[r.node[v]];
		sum += chance[v];
	}
	for (size_t v = 0; v < r.n; v++)
		chance[v] /= sum;
	c->layer = mem_zero(p->n, sizeof *c->layer);
	adjacency_mark_init(&needs, r.n);
	adjacency_mark_init(&below, r.n);
	for (size_t i = 0; i < p->n; i++) {
		struct cost_layer *l = &c->layer[i];
		adjacency_mark_clear(&needs);
		l->main = p->path[plan_start(p, i)];
		for (size_t k = plan_start(p, i); k < p->end[i]; k++, l->n++) {
			adjacency_mark_reach(&needs, &r.down, place[p->path[k]]);
			planned[place[p->path[k]]] = true;
			l->size += g->node[p->path[k]].size;
			if (is_before(g, p->path[k], l->main))
				l->main = p->path[k];
		}
		for (size_t k = 0; k < needs.n; k++) {
			sent[needs.list[k]] += l->size;
			l->chance += chance[needs.list[k]];
			if (!adjacency_mark_has(&below, needs.list[k]))
				chain += chance[needs.list[k]];
			adjacency_mark_put(&below, needs.list[k]);
		}
		l->chain = chain;
		c->size += l->size;
		c->mean += (double)l->size * l->chance;
		c->chain += (double)l->size * l->chain;
	}
	for (size_t v = 0; v < r.n; v++) {
		if (chance[v] == 0 || sent[v] < c->worst)
			continue;
		if (sent[v] > c->worst || v == 0 ||
		    strcmp(g->paths.name[r.node[v]], g->paths.name[c->worst_path]) < 0)
			c->worst_path = r.node[v];
		c->worst = sent[v];
	}
	c->bound = compute_bound(g, &r, chance, planned);
	adjacency_mark_release(&needs);
	adjacency_mark_release(&below);
	free(chance);
	free(sent);
	free(planned);
	free(place);
	adjacency_release(&r);
	return 0;
}

static uint64_t whole(double x)
{
	return (uint64_t)(x + 0.5);
}

void cost_text(const struct cost *c, const struct graph *g, struct buf *out)
{
	buf_addf(out, "%5s %6s %13s %7s %13s %13s  %s\n", "layer", "paths", "bytes",
		 "chance", "re-sent", "chain", "largest path");
	for (size_t i = 0; i < c->n; i++) {
		const struct cost_layer *l = &c->layer[i];
		buf_addf(out,
			 "%5zu %6zu %13" PRIu64 " %6.2f%% %13" PRIu64 " %13" PRIu64
			 "  %s\n",
			 i + 1, l->n, l->size, l->chance * 100,
			 whole((double)l->size * l->chance),
			 whole((double)l->size * l->chain), g->paths.name[l->main]);
	}
	buf_addf(out, "bytes  %13" PRIu64 "\n", c->size);
	buf_addf(out, "mean   %13" PRIu64 " re-sent by an update\n", whole(c->mean));
	buf_addf(out, "chain  %13" PRIu64 " re-sent with all layers above\n",
		 whole(c->chain));
	buf_addf(out, "bound  %13" PRIu64 " with a layer for each path\n",
		 whole(c->bound));
	buf_addf(out, "worst  %13" PRIu64 " re-sent by an update of %s\n", c->worst,
		 g->paths.name[c->worst_path]);
}

/* Returns a new reference, or NULL with the reason if the path is not UTF-8. */
static json_t *path_json(const char *path, struct err *e)
{
	json_t *text = json_string(path);

	if (text == NULL)
		err_set(e, "%s is not UTF-8", path);
	return text;
}

static json_t *layer_json(const struct cost_layer *l, const struct graph *g,
			  const uint32_t *path, struct err *e)
{
	json_t *paths = json_array();

	for (size_t i = 0; i < l->n; i++) {
		json_t *text = path_json(g->paths.name[path[i]], e);
		if (text == NULL) {
			json_decref(paths);
			return NULL;
		}
		json_array_append_new(paths, text);
	}
	return json_pack("{sIsIsIso}", "bytes", (json_int_t)l->size, "resent",
			 (json_int_t)whole((double)l->size * l->chance), "chain",
			 (json_int_t)whole((double)l->size * l->chain), "paths", paths);
}

static json_t *layers_json(const struct cost *c, const struct graph *g,
			   const struct plan *p, struct err *e)
{
	json_t *layers = json_array();

	for (size_t i = 0; i < c->n; i++) {
		json_t *layer =
		    layer_json(&c->layer[i], g, p->path + plan_start(p, i), e);
		if (layer == NULL) {
			json_decref(layers);
			return NULL;
		}
		json_array_append_new(layers, layer);
	}
	return layers;
}

int cost_json(const struct cost *c, const struct graph *g, const struct plan *p,
	      struct buf *out, struct err *e)
{
	json_t *worst = path_json(g->paths.name[c->worst_path], e);
	json_t *layers = worst == NULL ? NULL : layers_json(c, g, p, e);

	if (layers == NULL) {
		json_decref(worst);
		return -1;
	}
	json_t *doc =
	    json_pack("{sIsIsIsIs{sIso}so}", "bytes", (json_int_t)c->size, "mean",
		      (json_int_t)whole(c->mean), "chain", (json_int_t)whole(c->chain),
		      "bound", (json_int_t)whole(c->bound), "worst", "bytes",
		      (json_int_t)c->worst, "path", worst, "layers", layers);
	json_write(doc, out);
	buf_addch(out, '\n');
	json_decref(doc);
	return 0;
}
