#include "plan/weights.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/lines.h"
#include "base/mem.h"
#include "base/num.h"
#include "store/graph.h"
#include "store/store.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { WEIGHT_MAX = 1000000, LIMIT = 16 << 20 };

/* The arguments of parse_line(). */
struct weights_parser {
	double *weight;
	const struct graph *g;
};

static int parse_line(void *arg, const char *at, size_t len, struct err *e)
{
	const struct weights_parser *p = arg;
	const char *blank = memchr(at, ' ', len);
	uint64_t number;

	if (len == 0 || *at == '#')
		return 0;
	if (blank == NULL || blank + 1 == at + len)
		return err_set(e, "a line is a weight, a blank and a pattern");
	if (num_parse(at, (size_t)(blank - at), WEIGHT_MAX, &number) < 0)
		return err_set(e, "'%.*s' is not a weight from 0 to %d",
			       (int)(blank - at < 64 ? blank - at : 64), at, WEIGHT_MAX);
	char *pattern = mem_strndup(blank + 1, len - (size_t)(blank + 1 - at));
	bool whole = strchr(pattern, '/') != NULL;
	for (size_t i = 0; i < p->g->paths.n; i++) {
		const char *path = p->g->paths.name[i];
		if (fnmatch(pattern, whole ? path : store_name(path), 0) == 0)
			p->weight[i] = (double)number;
	}
	free(pattern);
	return 0;
}

int weights_parse(double *weight, const struct graph *g, const char *text, size_t len,
		  const char *what, struct err *e)
{
	struct weights_parser parser = {weight, g};
	double sum = 0;

	for (size_t i = 0; i < g->paths.n; i++)
		weight[i] = 1;
	if (lines_scan(text, len, what, parse_line, &parser, e) < 0)
		return -1;
	for (size_t i = 0; i < g->paths.n; i++)
		sum += weight[i];
	return sum > 0 ? 0 : err_set(e, "%s: the weight of every path is 0", what);
}

double *weights_read(const struct graph *g, const char *file, struct err *e)
{
	const char *what = io_name(file);
	double *weight = mem_zero(g->paths.n, sizeof *weight);
	struct buf text = {0};

	if (io_slurp_as(file, what, &text, LIMIT, e) < 0 ||
	    weights_parse(weight, g, text.data, text.len, what, e) < 0) {
		free(weight);
		weight = NULL;
	}
	buf_release(&text);
	return weight;
}
