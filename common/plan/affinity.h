/*
 * affinity: which paths of a graph change together and are wanted together.
 *
 * Two kinds of events matter to a layer. An update of a path changes it and all that
 * depends on it: so the updates that change a path are those of all that it needs. An
 * image of a path holds all that the path needs: so the images that hold a path are those
 * of all that depend on it. Each path of the graph counts as one event of each kind.
 *
 * Atoms are what is never taken apart: single paths, or, in a graph of more than
 * AFFINITY_ATOMS of them, small ones that need much the same. In a graph with more than
 * AFFINITY_EVENTS paths, a sample stands for all events. Who is an atom and what is
 * sampled depends on names and sizes, not on hashes or on the order of lines, and little
 * on what else is in the graph.
 */
#ifndef DT_AFFINITY_H
#define DT_AFFINITY_H

#include <stddef.h>
#include <stdint.h>

struct graph;
struct adjacency;

enum { AFFINITY_ATOMS = 1536, AFFINITY_EVENTS = 2048 };

/* A row of bits, `words` words, an event each. */
struct affinity {
	size_t n;       /* atoms */
	size_t n_paths; /* as many as in the graph */
	uint32_t
	    *place; /* all places, those of atom i from first[i] up to first[i + 1] */
	size_t *first;
	double *size;     /* of atom i, as a power of two: an update that changes a size a
			     little shall change no plan */
	double *share;    /* the sum of size / images that hold it, of the atom's paths */
	size_t words;     /* of a row of updates */
	uint64_t *update; /* row i: the updates that change one of the atom's paths */
	size_t image_words;
	uint64_t *image; /* row i: the images that hold all of the atom's paths */
	double *table;   /* of row byte k with value b: table[k << 8 | b], NULL if all
			    updates weigh the same, which is 1 */
	double weight;   /* of all updates */
};

/*
 * Computes the kin of `g`. weight[number] is how likely an update of a node is, 0 or
 * more, of which one is more; `weight` may be NULL, they are all the same then. Nodes
 * whose class[number] differs are in different atoms; `class` may be NULL. So there may
 * be as many atoms more than AFFINITY_ATOMS as there are classes.
 */
void affinity_init(struct affinity *k, const struct graph *g, const struct adjacency *r,
		   const double *weight, const uint64_t *class);
void affinity_release(struct affinity *k);

/* The weight of the updates in a row, or in either of two; and a number of images. */
double affinity_weigh(const struct affinity *k, const uint64_t *row);
double affinity_weigh_both(const struct affinity *k, const uint64_t *a,
			   const uint64_t *b);
size_t affinity_count(const struct affinity *k, const uint64_t *images);
size_t affinity_count_common(const struct affinity *k, const uint64_t *a,
			     const uint64_t *b);

/* The order of plans: by name, equal ones by path. */
int affinity_compare(const char *a, const char *b);

/* A number all of whose bits depend on all of those of `x`, 0 on 0. */
uint64_t affinity_mix(uint64_t x);

#endif
