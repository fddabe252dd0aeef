#include "store/graph.h"

#include "base/buf.h"
#include "base/edges.h"
#include "base/err.h"
#include "base/io.h"
#include "base/lines.h"
#include "base/mem.h"
#include "base/num.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void graph_release(struct graph *g)
{
	for (size_t i = 0; i < g->paths.n; i++) {
		free(g->node[i].refs);
		free(g->node[i].deriver);
	}
	free(g->node);
	strset_release(&g->paths);
	*g = (struct graph){0};
}

uint32_t graph_node(struct graph *g, const char *path, size_t len)
{
	size_t before = g->paths.n;
	uint32_t id = strset_add(&g->paths, path, len);

	if (g->paths.n > before) {
		g->node = mem_grow(g->node, &g->cap, g->paths.n, sizeof *g->node);
		g->node[id] = (struct graph_node){0};
	}
	return id;
}

void graph_refer(struct graph *g, uint32_t from, uint32_t to)
{
	struct graph_node *node = &g->node[from];

	if (from == to)
		return;
	for (size_t i = 0; i < node->n_refs; i++)
		if (node->refs[i] == to)
			return;
	node->refs =
	    mem_grow(node->refs, &node->cap_refs, node->n_refs + 1, sizeof *node->refs);
	node->refs[node->n_refs++] = to;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* Returns the length of the word at *p, and moves *p to the blank or the end after it. */
static size_t word(const char **p, const char *end)
{
	const char *start = *p;

	while (*p < end && **p != ' ')
		(*p)++;
	return (size_t)(*p - start);
}

/* Sorts the numbers and removes duplicates and `self`. Returns the new length. */
static size_t tidy_refs(uint32_t self, uint32_t *refs, size_t n)
{
	size_t kept = 0;

	if (n > 1)
		qsort(refs, n, sizeof *refs, compare_ids);
	for (size_t i = 0; i < n; i++)
		if (refs[i] != self && (kept == 0 || refs[i] != refs[kept - 1]))
			refs[kept++] = refs[i];
	return kept;
}

int graph_define(struct graph *g, uint32_t id, uint64_t size, uint32_t *refs, size_t n)
{
	struct graph_node *node = &g->node[id];

	n = tidy_refs(id, refs, n);
	if (!node->known) {
		if (refs != NULL) /* it may have room for more */
			refs = mem_resize(refs, n, sizeof *refs);
		free(node->refs);
		node->size = size;
		node->refs = refs;
		node->n_refs = node->cap_refs = n;
		node->known = true;
		return 0;
	}
	bool same = node->size == size && node->n_refs == n &&
		    (n == 0 || memcmp(node->refs, refs, n * sizeof *refs) == 0);
	free(refs);
	return same ? 0 : -1;
}

static int parse_line(void *arg, const char *line, size_t len, struct err *e)
{
	struct graph *g = arg;
	const char *path = line, *p = line, *end = line + len;
	size_t path_len = word(&p, end), n = 0, cap = 0;
	uint32_t *refs = NULL;
	uint64_t bytes;

	if (path_len == 0)
		return err_set(e, "a line starts with its store path");
	uint32_t id = graph_node(g, path, path_len);
	const char *size = p < end ? ++p : p;
	size_t size_len = word(&p, end);
	if (num_parse(size, size_len, INT64_MAX, &bytes) < 0)
		return err_set(e, "'%.*s' is not a size in bytes", (int)size_len, size);
	while (p < end) {
		const char *ref = ++p;
		size_t ref_len = word(&p, end);
		if (ref_len == 0) {
			free(refs);
			return err_set(e, "words are separated by single blanks");
		}
		refs = mem_grow(refs, &cap, n + 1, sizeof *refs);
		refs[n++] = graph_node(g, ref, ref_len);
	}
	if (graph_define(g, id, bytes, refs, n) < 0)
		return err_set(e, "%s has two different lines", g->paths.name[id]);
	return 0;
}

int graph_parse(struct graph *g, const char *text, size_t len, const char *what,
		struct err *e)
{
	if (len == 0)
		return err_set(e, "%s: empty, a graph is expected", what);
	if (lines_scan(text, len, what, parse_line, g, e) < 0)
		return -1;
	for (size_t i = 0; i < g->paths.n; i++)
		if (!g->node[i].known)
			return err_set(e, "%s: %s is referred to but has no line", what,
				       g->paths.name[i]);
	return 0;
}

/* The state of a topological sort: a heap of the nodes that can come next. */
struct sorter {
	const struct graph *g;
	uint32_t *heap;
	size_t n;
};

static bool is_before(const struct sorter *s, uint32_t a, uint32_t b)
{
	return strcmp(s->g->paths.name[a], s->g->paths.name[b]) < 0;
}

static void push(struct sorter *s, uint32_t id)
{
	size_t at = s->n++;

	while (at > 0 && is_before(s, id, s->heap[(at - 1) / 2])) {
		s->heap[at] = s->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	s->heap[at] = id;
}

static uint32_t pop(struct sorter *s)
{
	uint32_t first = s->heap[0], last = s->heap[--s->n];
	size_t at = 0;

	for (size_t child = 1; child < s->n; child = 2 * at + 1) {
		if (child + 1 < s->n && is_before(s, s->heap[child + 1], s->heap[child]))
			child++;
		if (!is_before(s, s->heap[child], last))
			break;
		s->heap[at] = s->heap[child];
		at = child;
	}
	s->heap[at] = last;
	return first;
}

/* Sets the reason to a cycle among the nodes that still wait for a reference. */
static int report_cycle(const struct graph *g, const size_t *missing, struct err *e)
{
	uint32_t at = 0;
	size_t *seen = mem_zero(g->paths.n, sizeof *seen), step = 0;
	struct buf text = {0};

	while (missing[at] == 0)
		at++;
	while (seen[at] == 0) {
		seen[at] = ++step;
		const struct graph_node *node = &g->node[at];
		size_t i = 0;
		while (missing[node->refs[i]] == 0)
			i++;
		at = node->refs[i];
	}
	uint32_t start = at;
	do {
		buf_addf(&text, "%s -> ", g->paths.name[at]);
		const struct graph_node *node = &g->node[at];
		size_t i = 0;
		while (missing[node->refs[i]] == 0)
			i++;
		at = node->refs[i];
	} while (at != start);
	err_set(e, "the references form a cycle: %s%s", text.data, g->paths.name[start]);
	buf_release(&text);
	free(seen);
	return -1;
}

void graph_referrers(const struct graph *g, struct edges *up)
{
	size_t n = g->paths.n;

	edges_init(up, n);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < g->node[i].n_refs; k++)
			edges_count(up, g->node[i].refs[k], 1);
	edges_begin(up);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < g->node[i].n_refs; k++)
			edges_add(up, g->node[i].refs[k], (uint32_t)i);
}

int graph_sort(const struct graph *g, uint32_t *order, struct err *e)
{
	size_t n = g->paths.n, done = 0;
	/* For each node: the number of references that are not in `order` yet. */
	size_t *missing = mem_zero(n, sizeof *missing);
	struct sorter s = {g, mem_zero(n, sizeof *s.heap), 0};
	struct edges up;

	graph_referrers(g, &up);
	for (size_t i = 0; i < n; i++) {
		missing[i] = g->node[i].n_refs;
		if (missing[i] == 0)
			push(&s, (uint32_t)i);
	}
	while (s.n > 0) {
		uint32_t id = pop(&s);
		order[done++] = id;
		for (size_t k = up.first[id]; k < up.first[id + 1]; k++)
			if (--missing[up.to[k]] == 0)
				push(&s, up.to[k]);
	}
	int result = done == n ? 0 : report_cycle(g, missing, e);
	free(missing);
	edges_release(&up);
	free(s.heap);
	return result;
}

static int check_sizes(const struct graph *g, struct err *e)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < g->paths.n; i++) {
		if (g->node[i].size > INT64_MAX - sum)
			return err_set(e, "the sizes add up to more than %lld bytes",
				       (long long)INT64_MAX);
		sum += g->node[i].size;
	}
	return 0;
}

int graph_read(struct graph *g, const char *file, struct err *e)
{
	const char *what = io_name(file);
	struct buf text = {0};
	int result = io_slurp_as(file, what, &text, GRAPH_LIMIT, e);

	if (result == 0)
		result = graph_parse(g, text.data, text.len, what, e);
	buf_release(&text);
	if (result < 0)
		return -1;
	uint32_t *order = mem_zero(g->paths.n, sizeof *order);
	if (graph_sort(g, order, e) < 0 || check_sizes(g, e) < 0)
		result = err_prefix(e, "%s", what);
	free(order);
	return result;
}

int graph_join(struct graph *all, const struct graph *g, struct err *e)
{
	uint32_t *number = mem_zero(g->paths.n, sizeof *number);
	int result = 0;

	for (size_t i = 0; i < g->paths.n; i++) {
		const char *path = g->paths.name[i];
		number[i] = graph_node(all, path, strlen(path));
	}
	for (size_t i = 0; result == 0 && i < g->paths.n; i++) {
		const struct graph_node *node = &g->node[i];
		uint32_t *refs = mem_zero(node->n_refs, sizeof *refs);
		for (size_t k = 0; k < node->n_refs; k++)
			refs[k] = number[node->refs[k]];
		if (graph_define(all, number[i], node->size, refs, node->n_refs) < 0)
			result = err_set(e, "%s differs from that of another image",
					 g->paths.name[i]);
	}
	free(number);
	return result;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int graph_write(const struct graph *g, const bool *skip, struct buf *out, struct err *e)
{
	uint32_t *order = mem_zero(g->paths.n, sizeof *order);
	const char **refs = mem_zero(g->paths.n, sizeof *refs);
	int result = graph_sort(g, order, e);

	for (size_t i = 0; result == 0 && i < g->paths.n; i++) {
		const struct graph_node *node = &g->node[order[i]];
		size_t n = 0;
		if (skip != NULL && skip[order[i]])
			continue;
		for (size_t k = 0; k < node->n_refs; k++)
			if (skip == NULL || !skip[node->refs[k]])
				refs[n++] = g->paths.name[node->refs[k]];
		qsort(refs, n, sizeof *refs, compare_names);
		buf_addf(out, "%s %" PRIu64, g->paths.name[order[i]], node->size);
		for (size_t k = 0; k < n; k++) {
			buf_addch(out, ' ');
			buf_addstr(out, refs[k]);
		}
		buf_addch(out, '\n');
	}
	free(order);
	free(refs);
	return result;
}
