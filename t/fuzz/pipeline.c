#include "plan/pipeline.h"

#include "base/err.h"
#include "plan/plan.h"
#include "store/graph.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char text[] = "/s/r-1 5 /s/a-1 /s/b-1\n"
			   "/s/a-1 50 /s/c-1 /s/l-1\n"
			   "/s/b-1 3 /s/c-1 /s/l-1\n"
			   "/s/c-1 20 /s/l-1\n"
			   "/s/l-1 100\n"
			   "/s/z-1 7 /s/l-1\n";

/* Whatever the pipeline, no path is in two layers, and no layer is empty. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct graph g = {0};
	struct plan p = {0};
	struct err e;
	bool seen[6] = {0};

	if (graph_parse(&g, text, strlen(text), "text", &e) < 0)
		abort();
	json_t *operations = json_parse((const char *)data, len, "input", &e);
	if (operations != NULL && pipeline_plan(operations, &g, &p, &e) == 0) {
		for (size_t i = 0; i < p.n_paths; i++) {
			if (seen[p.path[i]])
				abort();
			seen[p.path[i]] = true;
		}
		for (size_t i = 0; i < p.n; i++)
			if (plan_start(&p, i) == p.end[i])
				abort();
	}
	json_decref(operations);
	plan_release(&p);
	graph_release(&g);
	return 0;
}
