#include "plan/plan.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "plan/previous.h"
#include "plan/weights.h"
#include "store/graph.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char text[] = "/s/r-1.2 5 /s/a-1\n/s/a-1 50 /s/l-1\n/s/l-1 100\n/s/z 7\n";

/* What was read as a plan is written as it was, and what is a plan is a previous one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct graph g = {0};
	struct plan p = {0};
	struct buf out = {0};
	struct err e;
	const char *given = (const char *)data;

	if (graph_parse(&g, text, strlen(text), "text", &e) < 0)
		abort();
	struct previous old = {0};
	double *weight = mem_zero(g.paths.n, sizeof *weight);
	int previous = previous_parse(&old, &g, given, len, "input", &e);
	weights_parse(weight, &g, given, len, "input", &e);
	if (plan_parse(&p, &g, given, len, "input", &e) == 0) {
		plan_write(&p, &g, &out);
		if (out.len != len || memcmp(out.data, data, len) != 0 || previous < 0)
			abort();
		for (size_t i = 0; i < p.n; i++)
			for (size_t k = plan_start(&p, i); k < p.end[i]; k++)
				if (old.layer[p.path[k]] > i) /* the first that has it */
					abort();
	}
	previous_release(&old);
	free(weight);
	buf_release(&out);
	plan_release(&p);
	graph_release(&g);
	return 0;
}
