#include "plan/cost.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/strset.h"
#include "plan/plan.h"
#include "store/graph.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct cost_images cost_images(const struct graph *all, const struct plan *plans,
			       size_t n_images)
{
	struct cost_images c = {.images = n_images};
	struct strset layers = {0};
	bool *seen = mem_zero(all->paths.n, sizeof *seen);

	for (size_t i = 0; i < n_images; i++) {
		const struct plan *p = &plans[i];
		struct buf text = {0};
		plan_write(p, all, &text);
		const char *at = text.data;
		for (size_t l = 0; l < p->n; l++) {
			const char *stop = strchr(at, '\n');
			uint64_t size = 0;
			for (size_t k = plan_start(p, l); k < p->end[l]; k++) {
				uint32_t path = p->path[k];
				size += all->node[path].size;
				c.bound += seen[path] ? 0 : all->node[path].size;
				seen[path] = true;
			}
			c.apart += size;
			if (strset_add(&layers, at, (size_t)(stop - at)) == c.layers) {
				c.held += size;
				c.layers++;
			}
			at = stop + 1;
		}
		buf_release(&text);
	}
	strset_release(&layers);
	free(seen);
	return c;
}

void cost_images_json(const struct cost_images *c, struct buf *out)
{
	buf_addf(out,
		 "{\"images\":%zu,\"layers\":%zu,\"apart\":%" PRIu64 ",\"held\":%" PRIu64
		 ",\"bound\":%" PRIu64 "}\n",
		 c->images, c->layers, c->apart, c->held, c->bound);
}

void cost_images_text(const struct cost_images *c, struct buf *out)
{
	buf_addf(out,
		 "apart  %13" PRIu64 " in %zu images\n"
		 "held   %13" PRIu64 " in %zu layers that differ\n"
		 "bound  %13" PRIu64 " with a layer for each path\n",
		 c->apart, c->images, c->held, c->layers, c->bound);
}
