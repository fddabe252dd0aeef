#include "plan/autolayer.h"

#include "base/mem.h"
#include "plan/adjacency.h"
#include "plan/plan.h"
#include "store/graph.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A sorted set of primaries, and the number of paths with this set. */
struct set {
	uint32_t *primary;
	size_t n, users;
	uint32_t becomes; /* new set of its paths that the new primary needs */
	size_t turn;      /* turn of `becomes`; 0 for none */
};

/*
 * The current layers. Paths with the same set share a layer. of[place] is the set of a
 * place. In each turn, one more path becomes a primary; undo() reverts a turn that
 * exceeds the limit. Sets are never removed, but may lose all users.
 */
struct split {
	const struct graph *g;
	const struct adjacency *r;
	struct set *set;
	size_t n_sets, cap_sets, n_used; /* n_used: sets with users */
	size_t first_new;                /* first set of this turn */
	uint32_t *of;
	/* Places that this turn changed, and their former sets. */
	uint32_t *changed, *before;
	size_t n_changed;
};

static uint32_t add_set(struct split *s, uint32_t *primary, size_t n)
{
	s->set = mem_grow(s->set, &s->cap_sets, s->n_sets + 1, sizeof *s->set);
	s->set[s->n_sets] = (struct set){.primary = primary, .n = n};
	return (uint32_t)s->n_sets++;
}

static void move(struct split *s, uint32_t place, uint32_t to)
{
	if (--s->set[s->of[place]].users == 0)
		s->n_used--;
	if (s->set[to].users++ == 0)
		s->n_used++;
	s->of[place] = to;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static bool is_equal(const struct set *a, const struct set *b)
{
	return a->n == b->n &&
	       memcmp(a->primary, b->primary, a->n * sizeof *a->primary) == 0;
}

/*
 * Returns the new set of paths with set `id` that the new primary needs. The new primary
 * replaces the primaries that depend on it. If a primary in the set is itself needed by
 * the new primary, the set does not change.
 */
static uint32_t derive(struct split *s, uint32_t id, uint32_t added,
		       const struct adjacency_mark *below,
		       const struct adjacency_mark *above)
{
	const struct set *from = &s->set[id];
	uint32_t *primary = mem_zero(from->n + 1, sizeof *primary);
	size_t n = 0;

	for (size_t i = 0; i < from->n; i++) {
		if (adjacency_mark_has(below, from->primary[i])) {
			free(primary);
			return id;
		}
		if (!adjacency_mark_has(above, from->primary[i]))
			primary[n++] = from->primary[i];
	}
	primary[n++] = added;
	qsort(primary, n, sizeof *primary, compare_ids);
	/* `added` is a new primary, so only sets of this turn can be equal. */
	struct set probe = {.primary = primary, .n = n};
	for (size_t i = s->first_new; i < s->n_sets; i++) {
		if (is_equal(&s->set[i], &probe)) {
			free(primary);
			return (uint32_t)i;
		}
	}
	return add_set(s, primary, n);
}

static void make_primary(struct split *s, uint32_t added, size_t turn,
			 struct adjacency_mark *below, struct adjacency_mark *above)
{
	s->n_changed = 0;
	s->first_new = s->n_sets;
	adjacency_mark_clear(below);
	adjacency_mark_clear(above);
	adjacency_mark_reach(below, &s->r->down, added);
	adjacency_mark_reach(above, &s->r->up, added);
	uint32_t *alone = mem_zero(1, sizeof *alone);
	alone[0] = added;
	uint32_t own = add_set(s, alone, 1);
	for (size_t i = 0; i < below->n; i++) {
		uint32_t place = below->list[i], id = s->of[place], to = own;
		if (place != added && s->set[id].turn != turn) {
			to = derive(s, id, added, below, above);
			s->set[id].becomes = to;
			s->set[id].turn = turn;
		} else if (place != added) {
			to = s->set[id].becomes;
		}
		if (to == id)
			continue;
		s->changed[s->n_changed] = place;
		s->before[s->n_changed++] = id;
		move(s, place, to);
	}
}

static void undo(struct split *s)
{
	for (size_t i = 0; i < s->n_changed; i++)
		move(s, s->changed[i], s->before[i]);
}

struct sized_path {
	uint64_t size;
	const char *path;
	uint32_t place;
};

/* Sorts by size, the largest first, then in descending byte order. */
static int compare_candidates(const void *a, const void *b)
{
	const struct sized_path *x = a, *y = b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return strcmp(y->path, x->path);
}

/* Sorts by name, then by path. */
static int compare_names(const void *a, const void *b)
{
	const struct sized_path *x = a, *y = b;
	int order = strcmp(store_name(x->path), store_name(y->path));

	return order != 0 ? order : strcmp(x->path, y->path);
}

struct split_layer {
	uint64_t closure_size;
	struct sized_path *path; /* sorted by name */
	const char *first;       /* first path in byte order */
	size_t n;
};

static int compare_layers(const void *a, const void *b)
{
	const struct split_layer *x = a, *y = b;

	if (x->closure_size != y->closure_size)
		return x->closure_size < y->closure_size ? -1 : 1;
	return strcmp(x->first, y->first);
}

static void finish_layer(const struct split *s, struct split_layer *l,
			 struct adjacency_mark *below)
{
	adjacency_mark_clear(below);
	l->first = l->path[0].path;
	for (size_t i = 0; i < l->n; i++) {
		adjacency_mark_reach(below, &s->r->down, l->path[i].place);
		if (strcmp(l->path[i].path, l->first) < 0)
			l->first = l->path[i].path;
	}
	for (size_t i = 0; i < below->n; i++)
		l->closure_size += s->g->node[s->r->node[below->list[i]]].size;
	qsort(l->path, l->n, sizeof *l->path, compare_names);
}

/* Writes the layers to the plan. */
static void write_plan(const struct split *s, struct sized_path *all,
		       struct adjacency_mark *below, struct plan *p)
{
	struct split_layer *layer = mem_zero(s->n_sets, sizeof *layer);
	struct sized_path *by_layer = mem_zero(s->r->n, sizeof *by_layer);
	size_t at = 0;

	for (size_t id = 0; id < s->n_sets; id++) {
		layer[id].path = by_layer + at;
		at += s->set[id].users;
	}
	for (size_t i = 0; i < s->r->n; i++) {
		struct split_layer *l = &layer[s->of[all[i].place]];
		l->path[l->n++] = all[i];
	}
	size_t n = 0;
	for (size_t id = 0; id < s->n_sets; id++) {
		if (layer[id].n == 0)
			continue;
		layer[n] = layer[id];
		finish_layer(s, &layer[n++], below);
	}
	qsort(layer, n, sizeof *layer, compare_layers);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < layer[i].n; k++)
			plan_add(p, s->r->node[layer[i].path[k].place]);
		plan_close(p);
	}
	free(layer);
	free(by_layer);
}

int autolayer_plan(const struct graph *g, size_t limit, struct plan *p, struct err *e)
{
	struct adjacency r;

	if (adjacency_init(&r, g, e) < 0) {
		adjacency_release(&r);
		return -1;
	}
	struct split s = {.g = g, .r = &r, .n_used = 1};
	struct adjacency_mark below, above;
	struct sized_path *all = mem_zero(r.n, sizeof *all);
	adjacency_mark_init(&below, r.n);
	adjacency_mark_init(&above, r.n);
	s.of = mem_zero(r.n, sizeof *s.of);
	s.changed = mem_zero(r.n, sizeof *s.changed);
	s.before = mem_zero(r.n, sizeof *s.before);
	add_set(&s, NULL, 0);
	s.set[0].users = r.n;
	for (size_t v = 0; v < r.n; v++) {
		uint32_t node = r.node[v];
		all[v] = (struct sized_path){g->node[node].size, g->paths.name[node],
					     (uint32_t)v};
	}
	qsort(all, r.n, sizeof *all, compare_candidates);
	for (size_t k = 0; k < r.n; k++) {
		make_primary(&s, all[k].place, k + 1, &below, &above);
		if (s.n_used > limit) {
			undo(&s);
			break;
		}
	}
	write_plan(&s, all, &below, p);
	for (size_t i = 0; i < s.n_sets; i++)
		free(s.set[i].primary);
	free(s.set);
	free(s.of);
	free(s.changed);
	free(s.before);
	free(all);
	adjacency_mark_release(&below);
	adjacency_mark_release(&above);
	adjacency_release(&r);
	return 0;
}
