/*
 * clustering: agglomerative clustering.
 *
 * The two groups that it is best to merge are merged, again and again, until there is
 * nothing more to do. A group keeps which other group is best for it, and looks again
 * only if one of the two has merged, or if its score is the lowest of all and has grown
 * since: a score may grow while others merge, but not fall.
 */
#ifndef DT_CLUSTERING_H
#define DT_CLUSTERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clustering {
	size_t n; /* groups at first, with the numbers below n */
	uint32_t *alive, *nearest;
	size_t n_alive; /* groups now, in ascending order */
	double *score;
};

/* What the groups are. */
struct clustering_rule {
	/* How bad it is to merge two groups; INFINITY if that is of no use. */
	double (*score)(void *arg, uint32_t i, uint32_t j);
	/* Adds the group `from`, which is not alive any more, to the group `to`. */
	void (*join)(void *arg, uint32_t to, uint32_t from);
	bool (*is_done)(void *arg);
	void *arg;
};

void clustering_init(struct clustering *c, size_t n);
void clustering_release(struct clustering *c);

/* Removes a group that was added to another one before clustering_run(). */
void clustering_drop(struct clustering *c, uint32_t from);

/*
 * Merges groups. group[i], for n things, is the number of the group that i is in, and
 * becomes that of the group that this one was added to.
 */
void clustering_run(struct clustering *c, const struct clustering_rule *rule,
		    uint32_t *group);

#endif
