/*
 * cluster: divide atoms into a limited number of groups with low cost.
 *
 * Each group becomes a layer. The cost of a group is size * (chance that an update
 * changes it + sharing * h). Let f be the average share of its bytes that an image does
 * not want although it wants one of the paths. Then h is 1.02 f / (f + 0.02), or 0 for a
 * group of one path. dt-plans(7) explains the model.
 */
#ifndef DT_CLUSTER_H
#define DT_CLUSTER_H

#include <stddef.h>
#include <stdint.h>

struct affinity;

/* A group of atoms, which will be a layer. A group without members costs nothing. */
struct cluster_group {
	double size, share, cost;
	size_t n;                 /* number of paths */
	uint64_t *update, *image; /* as in struct affinity: of any atom; of all atoms */
};

/* The weights of the parts of the cost against small updates for receivers of sets. */
struct cluster_model {
	double sharing; /* other images can have the same layers */
	double chain;   /* small updates for receivers of chains, see chain.h */
};

/* Return the cost of a group, and the cost of two groups together, without chains. */
double cluster_cost_alone(const struct affinity *k, double sharing,
			  const struct cluster_group *a);
double cluster_cost(const struct affinity *k, double sharing,
		    const struct cluster_group *a, const struct cluster_group *b);

enum { CLUSTER_ALONE = UINT32_MAX };

/*
 * Makes at most `limit` groups of atoms. It merges the two groups whose merge increases
 * the cost least, until few enough are left. order[] has all atoms, the bottom atom
 * first; a group is at the place of one of its atoms. Writes the number of each atom's
 * group to `group` and returns the number of groups. Groups are numbered from the bottom.
 *
 * If `before` is not NULL, it is an earlier grouping that is kept. Atoms with the same
 * number in before[] start in one group, and atoms with CLUSTER_ALONE start alone.
 */
size_t cluster_atoms(const struct affinity *k, const struct cluster_model *m,
		     size_t limit, const uint32_t *order, const uint32_t *before,
		     uint32_t *group);

#endif
