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

enum { CLUSTER_ALONE = UINT32_MAX };

/*
 * Makes at most `limit` groups of atoms. First it merges the two groups whose merge
 * increases the cost least, until few enough are left. Then it moves single atoms to
 * groups where they cost less. Writes the number of each atom's group, below `limit`, to
 * `group`. Some numbers may be unused.
 *
 * If `before` is not NULL, it is an earlier grouping that is kept. Atoms with the same
 * number in before[] start in one group, atoms with CLUSTER_ALONE start alone, and no
 * atom is moved. So the result may only merge earlier groups.
 */
void cluster_atoms(const struct affinity *k, size_t limit, double sharing,
		   const uint32_t *before, uint32_t *group);

#endif
