/* The parser of exported graphs; what it accepts must have a closure of known paths. */
#include "store/nixgraph.h"

#include "base/err.h"
#include "store/graph.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct graph all = {0}, g = {0};
	struct err e;

	if (nixgraph_parse(&all, (const char *)data, size, "input", &e) == 0) {
		const char *first = all.paths.name[0];
		uint32_t node;
		graph_node(&g, first, strlen(first));
		if (nixgraph_closure(&all, "input", &g, &e) == 0 && !g.node[0].known)
			abort();
		if (nixgraph_find(&all, strrchr(first, '/') + 1, &node, &e) == 0)
			abort();
	}
	graph_release(&all);
	graph_release(&g);
	return 0;
}
