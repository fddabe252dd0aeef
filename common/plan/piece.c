#include "plan/piece.h"

#include "base/err.h"
#include "base/mem.h"
#include "plan/popularity.h"
#include "store/graph.h"

#include <stdlib.h>
#include <string.h>

void piece_release(struct piece *v)
{
	for (size_t i = 0; v->item != NULL && i < v->n; i++)
		piece_release(&v->item[i]);
	free(v->item);
	free(v->node);
	free(v->arc);
	*v = (struct piece){0};
}

static size_t count_graphs(const struct piece *v)
{
	size_t n = v->kind == PIECE_GRAPH;

	for (size_t i = 0; v->item != NULL && i < v->n; i++)
		n += count_graphs(&v->item[i]);
	return n;
}

static void move_graphs(struct piece *v, struct piece *flat)
{
	if (v->kind == PIECE_GRAPH) {
		flat->item[flat->n++] = *v;
		return;
	}
	for (size_t i = 0; v->item != NULL && i < v->n; i++)
		move_graphs(&v->item[i], flat);
	free(v->item);
}

void piece_flatten(struct piece *v, struct piece *flat)
{
	flat->item =
	    mem_resize(flat->item, flat->n + count_graphs(v), sizeof *flat->item);
	move_graphs(v, flat);
	*v = (struct piece){.kind = PIECE_NOTHING};
}

int piece_part(const char *key)
{
	static const char *const names[PIECE_N_PARTS] = {"main", "common", "rest"};

	for (int i = 0; i < PIECE_N_PARTS; i++)
		if (strcmp(names[i], key) == 0)
			return i;
	return -1;
}

struct by_size {
	uint64_t size;
	const char *path;
	uint32_t id;
};

static int compare_sizes(const void *a, const void *b)
{
	const struct by_size *x = a, *y = b;

	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return strcmp(x->path, y->path);
}

int piece_whole(struct piece *v, const struct graph *g, struct err *e)
{
	size_t n = g->paths.n;
	uint32_t *place = mem_zero(n, sizeof *place);

	if (graph_sort(g, place, e) < 0) {
		free(place);
		return -1;
	}
	struct by_size *all = mem_zero(n, sizeof *all);
	*v = (struct piece){.kind = PIECE_GRAPH, .n = n};
	for (size_t i = 0; i < n; i++) {
		all[i] = (struct by_size){g->node[i].size, g->paths.name[i], (uint32_t)i};
		v->n_arcs += g->node[i].n_refs;
	}
	qsort(all, n, sizeof *all, compare_sizes);
	v->node = mem_zero(n, sizeof *v->node);
	v->arc = mem_zero(v->n_arcs, sizeof *v->arc);
	for (size_t i = 0; i < n; i++) {
		v->node[i] = all[i].id;
		place[all[i].id] = (uint32_t)i;
	}
	size_t at = 0;
	for (size_t i = 0; i < n; i++) {
		const struct graph_node *node = &g->node[v->node[i]];
		for (size_t k = 0; k < node->n_refs; k++)
			v->arc[at++] =
			    (struct piece_arc){(uint32_t)i, place[node->refs[k]]};
	}
	free(all);
	free(place);
	return 0;
}

/*
 * Distributes the nodes of the graph to `n` new graphs in `to`. Node i goes to graph
 * part[i], or is dropped if part[i] is n. References between different graphs are
 * dropped. `v` is released.
 */
static void deal(struct piece *v, const size_t *part, struct piece *to, size_t n)
{
	uint32_t *place = mem_zero(v->n, sizeof *place);

	for (size_t i = 0; i < v->n; i++)
		if (part[i] < n)
			to[part[i]].n++;
	for (size_t i = 0; i < v->n_arcs; i++)
		if (part[v->arc[i].from] == part[v->arc[i].to] && part[v->arc[i].to] < n)
			to[part[v->arc[i].to]].n_arcs++;
	for (size_t i = 0; i < n; i++) {
		to[i].kind = PIECE_GRAPH;
		to[i].node = mem_zero(to[i].n, sizeof *to[i].node);
		to[i].arc = mem_zero(to[i].n_arcs, sizeof *to[i].arc);
		to[i].n = to[i].n_arcs = 0;
	}
	for (size_t i = 0; i < v->n; i++) {
		if (part[i] >= n)
			continue;
		struct piece *t = &to[part[i]];
		place[i] = (uint32_t)t->n;
		t->node[t->n++] = v->node[i];
	}
	for (size_t i = 0; i < v->n_arcs; i++) {
		struct piece_arc a = v->arc[i];
		if (part[a.from] != part[a.to] || part[a.to] >= n)
			continue;
		struct piece *t = &to[part[a.to]];
		t->arc[t->n_arcs++] = (struct piece_arc){place[a.from], place[a.to]};
	}
	free(place);
	piece_release(v);
}

/* Returns the edges of the graph in this direction. */
static struct edges edges_of(const struct piece *v, enum piece_direction direction)
{
	struct edges e;
	bool out = direction == PIECE_REFERENCES;

	edges_init(&e, v->n);
	for (size_t i = 0; i < v->n_arcs; i++)
		edges_count(&e, out ? v->arc[i].from : v->arc[i].to, 1);
	edges_begin(&e);
	for (size_t i = 0; i < v->n_arcs; i++) {
		struct piece_arc a = v->arc[i];
		edges_add(&e, out ? a.from : a.to, out ? a.to : a.from);
	}
	return e;
}

int piece_by_popularity(struct piece *v, const struct graph *g, struct err *e)
{
	struct graph sub = {0};
	uint32_t *order = mem_zero(v->n, sizeof *order);

	for (size_t i = 0; i < v->n; i++) {
		const char *path = g->paths.name[v->node[i]];
		graph_node(&sub, path, strlen(path));
	}
	struct edges down = edges_of(v, PIECE_REFERENCES);
	for (size_t i = 0; i < v->n; i++) {
		size_t n = down.first[i + 1] - down.first[i];
		uint32_t *refs = mem_zero(n, sizeof *refs);
		if (n > 0)
			memcpy(refs, down.to + down.first[i], n * sizeof *refs);
		graph_define(&sub, (uint32_t)i, 0, refs, n);
	}
	edges_release(&down);
	int result = v->n == 0 ? 0 : popularity_order(&sub, order, NULL, e);
	struct piece list = {.kind = PIECE_LIST, .n = v->n};
	list.item = mem_zero(v->n, sizeof *list.item);
	for (size_t i = 0; i < v->n; i++) {
		list.item[i] = (struct piece){.kind = PIECE_GRAPH, .n = 1};
		list.item[i].node = mem_zero(1, sizeof *list.item[i].node);
		list.item[i].node[0] = v->node[order[i]];
	}
	piece_release(v);
	*v = list;
	free(order);
	graph_release(&sub);
	return result;
}

void piece_split(struct piece *v, size_t count)
{
	struct piece list = {.kind = PIECE_LIST, .n = v->n / count + (v->n % count != 0)};
	size_t *part = mem_zero(v->n, sizeof *part);

	list.item = mem_zero(list.n, sizeof *list.item);
	for (size_t i = 0; i < v->n; i++)
		part[i] = i / count;
	deal(v, part, list.item, list.n);
	free(part);
	*v = list;
}

void piece_remove(struct piece *v, const struct adjacency_mark *mark)
{
	struct piece left = {0};
	size_t *part = mem_zero(v->n, sizeof *part);

	for (size_t i = 0; i < v->n; i++)
		part[i] = adjacency_mark_has(mark, v->node[i]);
	deal(v, part, &left, 1);
	free(part);
	*v = left;
}

/* Marks all nodes that can be reached from nodes with start[i]. */
static void reach(const struct piece *v, enum piece_direction direction,
		  const bool *start, struct adjacency_mark *reached)
{
	struct edges e = edges_of(v, direction);

	adjacency_mark_init(reached, v->n);
	for (size_t i = 0; i < v->n; i++)
		if (start[i])
			adjacency_mark_reach(reached, &e, (uint32_t)i);
	edges_release(&e);
}

/*
 * Replaces `v` by its parts. Parts without nodes become PIECE_NOTHING if `drop` is true;
 * PIECE_COMMON always does.
 */
static void make_parts(struct piece *v, const size_t *part, bool drop)
{
	struct piece parts = {.kind = PIECE_PARTS, .n = PIECE_N_PARTS};

	parts.item = mem_zero(PIECE_N_PARTS, sizeof *parts.item);
	deal(v, part, parts.item, PIECE_N_PARTS);
	for (size_t i = 0; i < PIECE_N_PARTS; i++) {
		if (parts.item[i].n != 0 || (!drop && i != PIECE_COMMON))
			continue;
		piece_release(&parts.item[i]);
		parts.item[i].kind = PIECE_NOTHING;
	}
	*v = parts;
}

void piece_subcomponent(struct piece *v, const struct adjacency_mark *mark,
			enum piece_direction direction)
{
	size_t *part = mem_zero(v->n, sizeof *part);
	bool *start = mem_zero(v->n, sizeof *start);
	struct adjacency_mark reached;

	piece_target(v, mark, start);
	reach(v, direction, start, &reached);
	for (size_t i = 0; i < v->n; i++)
		part[i] =
		    adjacency_mark_has(&reached, (uint32_t)i) ? PIECE_MAIN : PIECE_REST;
	make_parts(v, part, false);
	adjacency_mark_release(&reached);
	free(start);
	free(part);
}

void piece_target(const struct piece *v, const struct adjacency_mark *mark, bool *target)
{
	for (size_t i = 0; i < v->n; i++)
		target[i] |= adjacency_mark_has(mark, v->node[i]);
}

void piece_target_children(const struct piece *v, const struct adjacency_mark *mark,
			   bool *target)
{
	for (size_t i = 0; i < v->n_arcs; i++)
		target[v->arc[i].to] |= adjacency_mark_has(mark, v->node[v->arc[i].from]);
}

void piece_split_off(struct piece *v, const bool *target)
{
	size_t *part = mem_zero(v->n, sizeof *part), n_targets = 0, n_roots = 0, kept = 0;
	bool *root = mem_zero(v->n, sizeof *root), root_is_target = false;
	struct adjacency_mark off, rest;

	memset(root, true, v->n * sizeof *root);
	for (size_t i = 0; i < v->n_arcs; i++)
		root[v->arc[i].to] = false;
	for (size_t i = 0; i < v->n; i++) {
		n_targets += target[i];
		n_roots += root[i];
		root_is_target |= root[i] && target[i];
	}
	reach(v, PIECE_REFERENCES, target, &off);
	if (n_targets == 0 || (n_roots == 1 && root_is_target)) {
		for (size_t i = 0; i < v->n; i++)
			part[i] = n_targets == 0 ? PIECE_REST : PIECE_MAIN;
		adjacency_mark_init(&rest, 0);
	} else {
		for (size_t i = 0; i < v->n_arcs; i++)
			if (!target[v->arc[i].to])
				v->arc[kept++] = v->arc[i];
		v->n_arcs = kept;
		/*
		 * As in nixpkgs, all roots have a common artificial root above them. If a
		 * root is a target, the reference from there to the root is removed.
		 */
		for (size_t i = 0; i < v->n; i++)
			root[i] &= !target[i];
		reach(v, PIECE_REFERENCES, root, &rest);
		for (size_t i = 0; i < v->n; i++) {
			bool is_off = adjacency_mark_has(&off, (uint32_t)i);
			bool is_rest = adjacency_mark_has(&rest, (uint32_t)i);
			part[i] = !is_off   ? PIECE_REST
				  : is_rest ? PIECE_COMMON
					    : PIECE_MAIN;
		}
	}
	make_parts(v, part, true);
	adjacency_mark_release(&off);
	adjacency_mark_release(&rest);
	free(root);
	free(part);
}

void piece_merge(struct piece *v, size_t first)
{
	struct piece all = {.kind = PIECE_GRAPH};

	for (size_t i = first; i < v->n; i++) {
		all.n += v->item[i].n;
		all.n_arcs += v->item[i].n_arcs;
	}
	all.node = mem_zero(all.n, sizeof *all.node);
	all.arc = mem_zero(all.n_arcs, sizeof *all.arc);
	all.n = all.n_arcs = 0;
	for (size_t i = first; i < v->n; i++) {
		struct piece *from = &v->item[i];
		for (size_t k = 0; k < from->n_arcs; k++)
			all.arc[all.n_arcs++] =
			    (struct piece_arc){from->arc[k].from + (uint32_t)all.n,
					       from->arc[k].to + (uint32_t)all.n};
		for (size_t k = 0; k < from->n; k++)
			all.node[all.n++] = from->node[k];
		piece_release(from);
	}
	v->item[first] = all;
	v->n = first + 1;
}
