#include "store/graph.h"

#include "base/buf.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What was read can be written, and what was written reads as the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct graph g = {0}, again = {0};
	struct buf out = {0}, twice = {0};
	struct err e;

	if (graph_parse(&g, (const char *)data, len, "input", &e) == 0 &&
	    graph_write(&g, NULL, &out, &e) == 0) {
		if (graph_parse(&again, out.data, out.len, "output", &e) < 0 ||
		    graph_write(&again, NULL, &twice, &e) < 0 || out.len != twice.len ||
		    memcmp(out.data, twice.data, out.len) != 0)
			abort();
	}
	buf_release(&out);
	buf_release(&twice);
	graph_release(&g);
	graph_release(&again);
	return 0;
}
