#include "plan/affinity.h"

#include "base/mem.h"
#include "plan/adjacency.h"
#include "store/graph.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = 64 };

/* A path before it is assigned to an atom. */
struct path {
	const char *path;
	double size;
	uint64_t class;
	uint64_t hash; /* hash of its name */
	/*
	 * The smallest hash among its needs, with each of two hash functions. Paths with
	 * similar needs often have equal values.
	 */
	uint64_t first, second;
	uint32_t place, n_needs, n_images; /* counts of sampled events */
};

/*
 * Events. An event is identified by the place of its path. Places are in ascending order.
 */
struct events {
	uint32_t *place;
	double *weight;
	size_t n;
};

int affinity_compare(const char *a, const char *b)
{
	int order = strcmp(store_name(a), store_name(b));

	return order != 0 ? order : strcmp(a, b);
}

void affinity_release(struct affinity *k)
{
	free(k->place);
	free(k->first);
	free(k->size);
	free(k->share);
	free(k->update);
	free(k->image);
	free(k->table);
	free(k->source);
	*k = (struct affinity){0};
}

static unsigned count_bits(uint64_t x)
{
	x -= x >> 1 & 0x5555555555555555;
	x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return (unsigned)(x * 0x0101010101010101 >> 56);
}

static double weigh_word(const struct affinity *k, size_t at, uint64_t word)
{
	double sum = 0;

	for (size_t i = 0; word != 0; i++, word >>= 8)
		sum += k->table[(at * 8 + i) << 8 | (word & 255)];
	return sum;
}

double affinity_weight(const struct affinity *k, size_t update)
{
	return k->table == NULL ? 1 : k->table[(update / 8) << 8 | 1u << (update % 8)];
}

void affinity_weigh_sources(const struct affinity *k, double *sum)
{
	for (size_t i = 0; i < k->n_updates; i++)
		sum[k->source[i]] += affinity_weight(k, i);
}

double affinity_weigh(const struct affinity *k, const uint64_t *row)
{
	return affinity_weigh_both(k, row, row);
}

double affinity_weigh_both(const struct affinity *k, const uint64_t *a, const uint64_t *b)
{
	double sum = 0;
	size_t n = 0;

	if (k->table != NULL) {
		for (size_t i = 0; i < k->words; i++)
			sum += weigh_word(k, i, a[i] | b[i]);
		return sum;
	}
	for (size_t i = 0; i < k->words; i++)
		n += count_bits(a[i] | b[i]);
	return (double)n;
}

size_t affinity_count(const struct affinity *k, const uint64_t *images)
{
	return affinity_count_common(k, images, images);
}

size_t affinity_count_common(const struct affinity *k, const uint64_t *a,
			     const uint64_t *b)
{
	size_t n = 0;

	for (size_t i = 0; i < k->image_words; i++)
		n += count_bits(a[i] & b[i]);
	return n;
}

/* Returns the power of two with the smallest ratio to the size. */
static double round_size(uint64_t size)
{
	unsigned log = 0;

	while (size >> log > 1)
		log++;
	uint64_t power = (uint64_t)1 << log;
	if ((unsigned __int128)size * size > (unsigned __int128)power * power * 2)
		return (double)power * 2;
	return (double)power;
}

uint64_t affinity_mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccd;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53;
	return x ^ x >> 33;
}

static uint64_t hash_name(const char *name)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211u;
	return affinity_mix(h);
}

static struct path *describe(const struct graph *g, const struct adjacency *r)
{
	struct path *path = mem_zero(r->n, sizeof *path);

	for (size_t v = 0; v < r->n; v++) {
		struct path *p = &path[v];
		uint32_t node = r->node[v];
		p->path = g->paths.name[node];
		p->place = (uint32_t)v;
		p->size = round_size(g->node[node].size);
		p->hash = p->first = hash_name(store_name(p->path));
		p->second = affinity_mix(p->hash + 1);
		for (size_t i = r->down.first[v]; i < r->down.first[v + 1]; i++) {
			const struct path *ref = &path[r->down.to[i]];
			p->first = ref->first < p->first ? ref->first : p->first;
			p->second = ref->second < p->second ? ref->second : p->second;
		}
	}
	return path;
}

/*
 * Samples about AFFINITY_EVENTS of the updates. The name of a path decides whether its
 * update is in the sample, with a probability of weight / step, at most 1. A sampled
 * update then has the weight `step`, so that sums are correct on average. An update with
 * a larger weight keeps its own weight.
 */
static void sample(struct events *e, const struct path *path, size_t n,
		   const double *weight)
{
	double step = 0, sum = 0;

	for (size_t v = 0; v < n; v++)
		sum += weight[v];
	for (int round = 0; n > AFFINITY_EVENTS && round < 40; round++) {
		double expected = 0; /* expected number of samples with this step */
		step = round == 0 ? sum / AFFINITY_EVENTS : step;
		for (size_t v = 0; v < n; v++)
			expected += weight[v] < step ? weight[v] / step : weight[v] > 0;
		if (expected <= AFFINITY_EVENTS)
			break;
		step *= 1.25;
	}
	e->place = mem_zero(n, sizeof *e->place);
	e->weight = mem_zero(n + WORD, sizeof *e->weight);
	for (size_t v = 0; v < n; v++) {
		double chance = (double)(path[v].hash >> 11) / 9007199254740992.0;
		if (weight[v] <= 0 || weight[v] <= chance * step)
			continue;
		e->place[e->n] = (uint32_t)v;
		e->weight[e->n++] = weight[v] > step ? weight[v] : step;
	}
	/*
	 * All weights are so small that nothing was sampled. Take the first update with a
	 * weight.
	 */
	if (e->n == 0) {
		for (size_t v = 0; v < n && e->n == 0; v++) {
			e->place[0] = (uint32_t)v;
			e->weight[0] = sum;
			e->n = weight[v] > 0;
		}
	}
}

static size_t words_of(const struct events *e)
{
	return (e->n + WORD - 1) / WORD;
}

/*
 * Sets mask[v] to the updates that change place v, among the WORD updates from number
 * word * WORD.
 */
static void spread_updates(const struct adjacency *r, const struct events *e, size_t word,
			   uint64_t *mask)
{
	memset(mask, 0, r->n * sizeof *mask);
	for (size_t i = word * WORD; i < e->n && i < (word + 1) * WORD; i++)
		mask[e->place[i]] = (uint64_t)1 << (i % WORD);
	for (size_t v = 0; v < r->n; v++)
		for (size_t i = r->down.first[v]; i < r->down.first[v + 1]; i++)
			mask[v] |= mask[r->down.to[i]];
}

/* Does the same with the images that contain place v. */
static void spread_images(const struct adjacency *r, const struct events *e, size_t word,
			  uint64_t *mask)
{
	memset(mask, 0, r->n * sizeof *mask);
	for (size_t i = word * WORD; i < e->n && i < (word + 1) * WORD; i++)
		mask[e->place[i]] = (uint64_t)1 << (i % WORD);
	for (size_t v = r->n; v-- > 0;)
		for (size_t i = r->up.first[v]; i < r->up.first[v + 1]; i++)
			mask[v] |= mask[r->up.to[i]];
}

static void count_events(struct path *path, const struct adjacency *r,
			 const struct events *updates, const struct events *images,
			 uint64_t *mask)
{
	for (size_t word = 0; word < words_of(updates); word++) {
		spread_updates(r, updates, word, mask);
		for (size_t v = 0; v < r->n; v++)
			path[v].n_needs += count_bits(mask[v]);
	}
	for (size_t word = 0; word < words_of(images); word++) {
		spread_images(r, images, word, mask);
		for (size_t v = 0; v < r->n; v++)
			path[v].n_images += count_bits(mask[v]);
	}
}

static int compare_sizes(const void *a, const void *b)
{
	const struct path *x = a, *y = b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return affinity_compare(x->path, y->path);
}

static int compare_names(const void *a, const void *b)
{
	return affinity_compare(((const struct path *)a)->path,
				((const struct path *)b)->path);
}

/* How small paths are distinguished, from the finest way to the coarsest. */
enum { BY_ALL, BY_FIRST_AND_NEEDS, BY_FIRST, BY_NEEDS, BY_NOTHING };

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static unsigned magnitude(uint32_t n)
{
	unsigned log = 0;

	while (n >> log != 0)
		log++;
	return log;
}

static int compare_by(const struct path *a, const struct path *b, int way)
{
	int order = compare_numbers(a->class, b->class);

	if (order == 0 && way <= BY_FIRST)
		order = compare_numbers(a->first, b->first);
	if (order == 0 && way == BY_ALL)
		order = compare_numbers(a->second, b->second);
	if (order == 0 && way != BY_FIRST && way != BY_NOTHING)
		order = compare_numbers(magnitude(a->n_needs), magnitude(b->n_needs));
	return order;
}

static int compare_all(const void *a, const void *b)
{
	const struct path *x = a, *y = b;
	int order = compare_by(x, y, BY_ALL);

	return order != 0 ? order : compare_names(a, b);
}

static int compare_needs(const void *a, const void *b)
{
	const struct path *x = a, *y = b;
	int order = compare_by(x, y, BY_NEEDS);

	return order != 0 ? order : compare_names(a, b);
}

/*
 * Sorts the paths by atom and writes the start of each atom. The largest paths, half as
 * many as there may be atoms, stay alone. The other paths are grouped in the finest way
 * that gives few enough atoms.
 */
static size_t make_atoms(struct path *path, size_t n, size_t *first)
{
	size_t n_alone = n <= AFFINITY_ATOMS ? n : AFFINITY_ATOMS / 2, n_atoms;

	if (n_alone == n) {
		qsort(path, n, sizeof *path, compare_names);
	} else {
		qsort(path, n, sizeof *path, compare_sizes);
		qsort(path, n_alone, sizeof *path, compare_names);
	}
	for (int way = BY_ALL;; way++) {
		struct path *small = path + n_alone;
		size_t n_small = n - n_alone;
		if (way == BY_ALL && n_small > 0)
			qsort(small, n_small, sizeof *small, compare_all);
		if (way == BY_NEEDS && n_small > 0)
			qsort(small, n_small, sizeof *small, compare_needs);
		for (n_atoms = 0; n_atoms < n_alone; n_atoms++)
			first[n_atoms] = n_atoms;
		for (size_t i = 0; i < n_small; i++)
			if (i == 0 || compare_by(&small[i - 1], &small[i], way) != 0)
				first[n_atoms++] = n_alone + i;
		if (n_atoms <= AFFINITY_ATOMS || way == BY_NOTHING)
			break;
	}
	first[n_atoms] = n;
	return n_atoms;
}

double *affinity_table(const double *weight, size_t words)
{
	double *table = mem_zero(words * 8 << 8, sizeof *table);

	for (size_t at = 0; at < words * 8; at++)
		for (size_t b = 1; b < 256; b++) {
			size_t low = 0;
			while ((b >> low & 1) == 0)
				low++;
			table[at << 8 | b] =
			    table[at << 8 | (b & (b - 1))] + weight[at * 8 + low];
		}
	return table;
}

static void fill_rows(struct affinity *k, const struct adjacency *r,
		      const struct events *updates, const struct events *images,
		      uint64_t *mask)
{
	for (size_t word = 0; word < k->words; word++) {
		spread_updates(r, updates, word, mask);
		for (size_t i = 0; i < k->n; i++)
			for (size_t at = k->first[i]; at < k->first[i + 1]; at++)
				k->update[i * k->words + word] |= mask[k->place[at]];
	}
	for (size_t word = 0; word < k->image_words; word++) {
		spread_images(r, images, word, mask);
		for (size_t i = 0; i < k->n; i++) {
			uint64_t common = UINT64_MAX;
			for (size_t at = k->first[i]; at < k->first[i + 1]; at++)
				common &= mask[k->place[at]];
			k->image[i * k->image_words + word] = common;
		}
	}
}

/* Finds the atom of each update. */
static void find_sources(struct affinity *k, const struct events *updates)
{
	uint32_t *atom = mem_zero(k->n_paths, sizeof *atom);

	for (size_t i = 0; i < k->n; i++)
		for (size_t at = k->first[i]; at < k->first[i + 1]; at++)
			atom[k->place[at]] = (uint32_t)i;
	k->n_updates = updates->n;
	k->source = mem_zero(updates->n, sizeof *k->source);
	for (size_t i = 0; i < updates->n; i++)
		k->source[i] = atom[updates->place[i]];
	free(atom);
}

void affinity_init(struct affinity *k, const struct graph *g, const struct adjacency *r,
		   const double *weight, const uint64_t *class)
{
	struct events updates = {0}, images = {0};
	struct path *path = describe(g, r);
	double *one = mem_zero(r->n, sizeof *one), *own = mem_zero(r->n, sizeof *own);
	uint64_t *mask = mem_zero(r->n, sizeof *mask);

	for (size_t v = 0; v < r->n; v++) {
		one[v] = 1;
		own[v] = weight == NULL ? 1 : weight[r->node[v]];
		path[v].class = class == NULL ? 0 : class[r->node[v]];
	}
	sample(&updates, path, r->n, own);
	sample(&images, path, r->n, one);
	count_events(path, r, &updates, &images, mask);
	*k = (struct affinity){.n_paths = r->n,
			       .words = words_of(&updates),
			       .image_words = words_of(&images)};
	k->first = mem_zero(r->n + 1, sizeof *k->first);
	k->n = make_atoms(path, r->n, k->first);
	k->place = mem_zero(r->n, sizeof *k->place);
	k->size = mem_zero(k->n, sizeof *k->size);
	k->share = mem_zero(k->n, sizeof *k->share);
	k->update = mem_zero(k->n * k->words, sizeof *k->update);
	k->image = mem_zero(k->n * k->image_words, sizeof *k->image);
	for (size_t i = 0; i < k->n; i++)
		for (size_t at = k->first[i]; at < k->first[i + 1]; at++) {
			const struct path *p = &path[at];
			k->place[at] = p->place;
			k->size[i] += p->size;
			k->share[i] += p->size / (p->n_images > 0 ? p->n_images : 1);
		}
	fill_rows(k, r, &updates, &images, mask);
	find_sources(k, &updates);
	for (size_t i = 0; i < updates.n; i++)
		k->weight += weight == NULL ? 1 : updates.weight[i];
	if (weight != NULL)
		k->table = affinity_table(updates.weight, k->words);
	free(updates.place);
	free(updates.weight);
	free(images.place);
	free(images.weight);
	free(mask);
	free(one);
	free(own);
	free(path);
}
