/*
 * clustering: agglomerative clustering with a caller's score.
 *
 * The two groups with the lowest score are merged again and again. Merging ends when the
 * caller's is_done() returns true or every score is INFINITY.
 *
 *	clustering_init(&c, n);
 *	clustering_run(&c, &rule, group);
 *	clustering_release(&c);
 *
 * Each group stores its best partner. The partner is searched again only if one of the
 * two has merged, or if the score is the lowest of all and has grown since. So scores may
 * grow while other groups merge, but must not fall.
 */
#ifndef DT_CLUSTERING_H
#define DT_CLUSTERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clustering {
	size_t n; /* initial number of groups, with numbers below n */
	uint32_t *alive, *nearest;
	size_t n_alive; /* number of current groups; alive[] is in ascending order */
	double *score;
};

/* The caller's definition of a group. */
struct clustering_rule {
	/*
	 * Returns the score of merging two groups, where lower is better. INFINITY means
	 * that merging is useless.
	 */
	double (*score)(void *arg, uint32_t i, uint32_t j);
	/* Adds the group `from` to the group `to`. `from` is no longer alive. */
	void (*join)(void *arg, uint32_t to, uint32_t from);
	bool (*is_done)(void *arg);
	void *arg;
};

void clustering_init(struct clustering *c, size_t n);
void clustering_release(struct clustering *c);

/* Removes a group that was added to another group before clustering_run(). */
void clustering_drop(struct clustering *c, uint32_t from);

/*
 * Merges groups. For each i below n, group[i] is the number of the group that contains i.
 * If that group is merged into another group, group[i] becomes the number of the other
 * group.
 */
void clustering_run(struct clustering *c, const struct clustering_rule *rule,
		    uint32_t *group);

#endif
