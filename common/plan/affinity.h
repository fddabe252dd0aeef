/*
 * affinity: measure which paths of a graph change together and are used together.
 *
 * Paths that change together, and that the same images contain, should share a layer. Two
 * kinds of events matter:
 *
 * - An update of a path changes this path and all paths that depend on it. So the updates
 *   that change a path are those of all paths that it needs.
 * - An image of a path contains all paths that it needs. So the images that contain a
 *   path are those of all paths that depend on it.
 *
 * Each path of the graph counts as one event of each kind.
 *
 * The units of planning are atoms. Normally an atom is one path. In a graph of more than
 * AFFINITY_ATOMS paths, small paths with similar needs form one atom. In a graph of more
 * than AFFINITY_EVENTS paths, a sample represents all events.
 *
 * Atoms and samples depend on the names and sizes of paths, but not on hashes or on the
 * order of lines. Other paths of the graph have little influence. So a small change of
 * the graph changes few layers.
 */
#ifndef DT_AFFINITY_H
#define DT_AFFINITY_H

#include <stddef.h>
#include <stdint.h>

struct graph;
struct adjacency;

enum { AFFINITY_ATOMS = 1536, AFFINITY_EVENTS = 2048 };

/* Events are stored as rows of bits: one bit for each event. */
struct affinity {
	size_t n;       /* number of atoms */
	size_t n_paths; /* number of paths in the graph */
	/* All places; place[first[i]] up to place[first[i + 1] - 1] are in atom i. */
	uint32_t *place;
	size_t *first;
	/*
	 * For each atom: the sum of its paths' sizes, each rounded to a power of two. So
	 * small changes of sizes change no plan.
	 */
	double *size;
	/*
	 * For each atom: the sum over its paths of size divided by the number of images
	 * that contain the path.
	 */
	double *share;
	size_t words; /* length of a row of updates */
	/* Row i: the updates that change at least one path of atom i. */
	uint64_t *update;
	size_t image_words;
	/*
	 * Row i: the images that contain all paths of atom i. A row has `image_words`
	 * words.
	 */
	uint64_t *image;
	/*
	 * The weight of the updates in byte k of a row with the value b is table[k << 8 |
	 * b]. NULL if all updates have the weight 1.
	 */
	double *table;
	double weight; /* weight of all updates */
	/* For each of the n_updates updates: the atom of the updated path. */
	uint32_t *source;
	size_t n_updates;
};

/*
 * Computes the affinity of the paths of `g`. weight[number] is the relative probability
 * of an update of a node; it is not negative and not always 0. If `weight` is NULL, all
 * updates are equally likely.
 *
 * Nodes with different class[number] are put into different atoms; `class` may be NULL.
 * So there can be AFFINITY_ATOMS atoms and one more for each class.
 */
void affinity_init(struct affinity *k, const struct graph *g, const struct adjacency *r,
		   const double *weight, const uint64_t *class);
void affinity_release(struct affinity *k);

/* Returns the weight of one update, by its number. */
double affinity_weight(const struct affinity *k, size_t update);

/*
 * Returns a new table of struct affinity for rows of this many words. weight[i] is the
 * weight of the update of bit i.
 */
double *affinity_table(const double *weight, size_t words);

/* Adds the weight of each update to sum[i], where i is the atom of the updated path. */
void affinity_weigh_sources(const struct affinity *k, double *sum);

/*
 * Return the weight of the updates in a row, the weight of the updates in at least one of
 * two rows, the number of images in a row, and the number of images in both of two rows.
 */
double affinity_weigh(const struct affinity *k, const uint64_t *row);
double affinity_weigh_both(const struct affinity *k, const uint64_t *a,
			   const uint64_t *b);
size_t affinity_count(const struct affinity *k, const uint64_t *images);
size_t affinity_count_common(const struct affinity *k, const uint64_t *a,
			     const uint64_t *b);

/* Compares two paths in the order of plans: by name, then by path. */
int affinity_compare(const char *a, const char *b);

/*
 * Returns a hash of `x`, in which each bit depends on all bits of `x`. The hash of 0 is
 * 0.
 */
uint64_t affinity_mix(uint64_t x);

#endif
