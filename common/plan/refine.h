/*
 * refine: improve the layers of a plan for both kinds of receivers.
 *
 * Some receivers reuse any layer that they have; others reuse only the lowest layers, up
 * to the first changed one (chain.h). Both pay for the same plan. This module moves atoms
 * to other layers, and layers to other places, as long as that lowers the common cost:
 *
 *	sum of cluster_cost_alone() + chain * bytes that an update re-sends of the chain
 *
 * dt-plans(7) explains the model.
 */
#ifndef DT_REFINE_H
#define DT_REFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct affinity;
struct cluster_model;

/*
 * Improves n layers. group[i] is the layer of atom i, a number below n, where 0 is the
 * bottom layer; the result is written there, too. Some numbers may be unused. Returns the
 * cost.
 *
 * If `kept` is not NULL, layers keep their order, and no atom leaves or enters a layer i
 * with kept[i].
 */
double refine_layers(const struct affinity *k, const struct cluster_model *m, size_t n,
		     const bool *kept, uint32_t *group);

/*
 * Divides the atoms into at most `limit` layers, each of which is a part of `order`.
 * Writes the layer of each atom to `group`. Returns whether it did; a limit above
 * REFINE_CUT would take too long.
 */
enum { REFINE_CUT = 256 };
bool refine_cut(const struct affinity *k, const struct cluster_model *m, size_t limit,
		const uint32_t *order, uint32_t *group);

#endif
