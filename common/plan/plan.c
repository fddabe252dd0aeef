#include "plan/plan.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/lines.h"
#include "base/mem.h"
#include "base/strset.h"
#include "store/graph.h"

#include <stdlib.h>
#include <string.h>

void plan_release(struct plan *p)
{
	free(p->path);
	free(p->end);
	*p = (struct plan){0};
}

void plan_add(struct plan *p, uint32_t path)
{
	p->path = mem_grow(p->path, &p->cap_paths, p->n_paths + 1, sizeof *p->path);
	p->path[p->n_paths++] = path;
}

size_t plan_start(const struct plan *p, size_t i)
{
	return i == 0 ? 0 : p->end[i - 1];
}

void plan_close(struct plan *p)
{
	if (p->n_paths == plan_start(p, p->n))
		return;
	p->end = mem_grow(p->end, &p->cap, p->n + 1, sizeof *p->end);
	p->end[p->n++] = p->n_paths;
}

void plan_translate(struct plan *p, const struct graph *g, const struct plan *from,
		    const struct graph *from_graph)
{
	for (size_t i = 0; i < from->n; i++) {
		for (size_t k = plan_start(from, i); k < from->end[i]; k++) {
			const char *path = from_graph->paths.name[from->path[k]];
			plan_add(p, strset_find(&g->paths, path, strlen(path)));
		}
		plan_close(p);
	}
}

void plan_write(const struct plan *p, const struct graph *g, struct buf *out)
{
	for (size_t i = 0; i < p->n; i++) {
		for (size_t k = plan_start(p, i); k < p->end[i]; k++) {
			buf_addstr(out, g->paths.name[p->path[k]]);
			buf_addch(out, k + 1 == p->end[i] ? '\n' : ' ');
		}
	}
}

/* The callback of plan_scan() and the current layer. */
struct line_reader {
	int (*on_path)(void *arg, const char *path, size_t layer, struct err *e);
	void *arg;
	size_t layer;
};

static int read_line(void *arg, const char *at, size_t line_len, struct err *e)
{
	struct line_reader *r = arg;
	const char *end = at + line_len;
	struct strset seen = {0};
	int result = 0;

	for (;; at++) {
		const char *stop = memchr(at, ' ', (size_t)(end - at));
		size_t len = (size_t)((stop != NULL ? stop : end) - at), before = seen.n;
		if (len == 0) {
			result = err_set(e, "a layer is store paths, separated by single "
					    "blanks");
			break;
		}
		uint32_t word = strset_add(&seen, at, len);
		const char *path = seen.name[word];
		if (seen.n == before)
			result = err_set(e, "%s is listed twice in the layer", path);
		else
			result = r->on_path(r->arg, path, r->layer, e);
		if (result < 0 || stop == NULL)
			break;
		at = stop;
	}
	strset_release(&seen);
	r->layer++;
	return result;
}

int plan_scan(const char *text, size_t len, const char *what,
	      int (*on_path)(void *arg, const char *path, size_t layer, struct err *e),
	      void *arg, struct err *e)
{
	struct line_reader r = {.on_path = on_path, .arg = arg};

	if (len == 0)
		return err_set(e, "%s: empty, a plan is expected", what);
	return lines_scan(text, len, what, read_line, &r, e);
}

int plan_scan_file(const char *file,
		   int (*on_path)(void *arg, const char *path, size_t layer,
				  struct err *e),
		   void *arg, struct err *e)
{
	const char *what = io_name(file);
	struct buf text = {0};
	int result = io_slurp_as(file, what, &text, GRAPH_LIMIT, e);

	if (result == 0)
		result = plan_scan(text.data, text.len, what, on_path, arg, e);
	buf_release(&text);
	return result;
}

/* The arguments of add_path(). */
struct plan_parser {
	struct plan *p;
	const struct graph *g;
};

static int add_path(void *arg, const char *path, size_t layer, struct err *e)
{
	const struct plan_parser *parser = arg;
	uint32_t node = strset_find(&parser->g->paths, path, strlen(path));

	if (node == STRSET_NONE)
		return err_set(e, "%s is not in the graph", path);
	if (layer > parser->p->n)
		plan_close(parser->p);
	plan_add(parser->p, node);
	return 0;
}

int plan_parse(struct plan *p, const struct graph *g, const char *text, size_t len,
	       const char *what, struct err *e)
{
	struct plan_parser parser = {p, g};
	int result = plan_scan(text, len, what, add_path, &parser, e);

	plan_close(p);
	return result;
}

int plan_read(struct plan *p, const struct graph *g, const char *file, struct err *e)
{
	struct plan_parser parser = {p, g};
	int result = plan_scan_file(file, add_path, &parser, e);

	plan_close(p);
	return result;
}
