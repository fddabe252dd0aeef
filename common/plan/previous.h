/*
 * previous: find the layer that each path had in an earlier plan, and how often it was
 * updated between several earlier plans.
 *
 * An update should not move paths to other layers without need. An updated path has
 * another hash and often another version, so paths are also compared by name.
 *
 *	struct previous old;
 *	if (previous_read(&old, &graph, files, n, &e) == 0)
 *		old.layer[number] ...
 *	previous_release(&old);
 */
#ifndef DT_PREVIOUS_H
#define DT_PREVIOUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct graph;

enum { PREVIOUS_NONE = UINT32_MAX };

/* A zeroed struct has read no plan. */
struct previous {
	/* For each node: its layer in the last plan that was read, or PREVIOUS_NONE. */
	uint32_t *layer;
	/* For each node: how often it was updated from one plan to the next. */
	uint32_t *updates;
	/* For each node: whether its layer has the same paths as in the last plan. */
	bool *stays;
	char **path; /* for each of n nodes: its path in the last plan, or NULL */
	size_t n;
};

void previous_release(struct previous *p);

/*
 * Reads a plan (dt-plan(5)) for the nodes of `g`. Older plans must be parsed before newer
 * ones. A node corresponds to the first match in the plan:
 *
 * - the same path;
 * - the first path with the same name after the hash;
 * - the first path with the same name without the version, which starts at the first '-'
 *   that no letter follows.
 *
 * A node has changed if two plans in a row have different paths for it. It was updated if
 * it has changed, and if the two paths have different names or no reference of the node
 * has changed. So a path that changed only because it depends on an updated path does not
 * count.
 *
 * `what` names the text. Returns 0, or -1 with the reason in `e` if the text is not a
 * plan; `p` is unchanged then.
 */
int previous_parse(struct previous *p, const struct graph *g, const char *text,
		   size_t len, const char *what, struct err *e);

/*
 * Does the same with n files, the oldest first; "-" is standard input. The caller
 * releases `p` in both cases.
 */
int previous_read(struct previous *p, const struct graph *g, const char *const *files,
		  size_t n, struct err *e);

/* Multiplies the weight of each node by 1 + PREVIOUS_UPDATE for each of its updates. */
enum { PREVIOUS_UPDATE = 5 };
void previous_weigh(const struct previous *p, double *weight);

#endif
