#include "plan.h"

#include "buf.h"
#include "err.h"
#include "graph.h"
#include "mem.h"

#include <stdbool.h>
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
			plan_add(p, names_find(&g->paths, path, strlen(path)));
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

static int parse_line(struct plan *p, const struct graph *g, bool *seen, const char *at,
		      const char *end, struct err *e)
{
	for (;; at++) {
		const char *stop = memchr(at, ' ', (size_t)(end - at));
		if (stop == NULL)
			stop = end;
		int len = (int)(stop - at < 512 ? stop - at : 512);
		if (len == 0)
			return err_set(
			    e, "a line is store paths with single blanks between them");
		uint32_t path = names_find(&g->paths, at, (size_t)(stop - at));
		if (path == NAMES_NONE)
			return err_set(e, "%.*s is not in the graph", len, at);
		if (seen[path])
			return err_set(e, "%.*s stands twice", len, at);
		seen[path] = true;
		plan_add(p, path);
		at = stop;
		if (at == end)
			return 0;
	}
}

int plan_parse(struct plan *p, const struct graph *g, const char *text, size_t len,
	       const char *what, struct err *e)
{
	const char *at = text, *end = text + len;
	bool *seen = mem_zero(g->paths.n, sizeof *seen);
	int result = 0;
	struct err why;

	if (len == 0)
		result = err_set(e, "%s: empty, no plan came in", what);
	for (size_t line = 1; result == 0 && at < end; line++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		if (stop == NULL)
			result = err_set(e, "%s:%zu: cut off in mid-line", what, line);
		else if (memchr(at, '\0', (size_t)(stop - at)) != NULL)
			result = err_set(e, "%s:%zu: a NUL byte", what, line);
		else if (parse_line(p, g, seen, at, stop, &why) < 0)
			result = err_set(e, "%s:%zu: %s", what, line, why.text);
		else
			at = stop + 1;
		plan_close(p);
	}
	free(seen);
	return result;
}
