/*
 * chain: order atoms and layers for receivers that reuse only the lowest layers.
 *
 * The graph drivers of Docker identify a layer by the chain of all layers below it. So
 * they reuse layers from the bottom up to the first changed layer, and store all layers
 * above it again. A good order has two properties:
 *
 * - A path is above all paths that it depends on, because they change together.
 * - Small paths that change often are high, and large paths that rarely change are low.
 *
 * This is a known problem of scheduling: jobs with precedence, and the smallest weighted
 * sum of completion times. The size of an atom is the time of its job, and its updates
 * are the weight.
 */
#ifndef DT_CHAIN_H
#define DT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct affinity;

/*
 * Writes the atoms of `k` to `order`, the bottom atom first. The sum of the bytes that
 * each update re-sends is low if each atom is its own layer.
 */
void chain_order(const struct affinity *k, uint32_t *order);

/*
 * A stack of n layers, the bottom layer first. update[i] is the row of updates that
 * change layer i; the stack does not own it. `k` defines the length of rows and the
 * weights of updates.
 */
struct chain_stack {
	const struct affinity *k;
	size_t n;
	double *size;
	uint64_t **update;
	uint32_t *id; /* the caller's name of each layer; it moves with the layer */
};

/* Makes a stack of `n` layers whose fields are zero, for the caller to fill. */
void chain_stack_init(struct chain_stack *s, const struct affinity *k, size_t n);
void chain_stack_release(struct chain_stack *s);

/*
 * Moves single layers to the place where they cost least, until no move helps. Returns
 * whether a layer has moved. If n * n times the length of a row is more than CHAIN_WORK,
 * the stack stays as it is, because the moves would take too long.
 */
enum { CHAIN_WORK = 1 << 24 };
bool chain_sort(struct chain_stack *s);

#endif
