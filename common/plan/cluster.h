/*
 * cluster: few groups of kin.
 *
 * The cost of a group is size * (chance that an update changes it + sharing * h). h is
 * 1.02 f / (f + 0.02), f being the share of its bytes that an image which wants one of
 * its paths does not want, on average; of a group of one path it is 0. dt-plans(7) says
 * why.
 */
#ifndef DT_CLUSTER_H
#define DT_CLUSTER_H

#include <stddef.h>
#include <stdint.h>

struct affinity;

enum { CLUSTER_ALONE = UINT32_MAX };

/*
 * Makes at most `limit` groups of the atoms: first merges the two groups by which the
 * costs grow least until they are few enough, then moves single atoms to where they cost
 * less. Writes the number of each atom's group, below `limit`, to `group`; some numbers
 * may not be in use.
 *
 * Atoms with the same number in before[] start in one group, those with CLUSTER_ALONE
 * alone, and no atom is moved then: what was together stays together. `before` may be
 * NULL.
 */
void cluster_kin(const struct affinity *k, size_t limit, double sharing,
		 const uint32_t *before, uint32_t *group);

#endif
