#include "plan/affinity.h"

#include "base/buf.h"
#include "base/err.h"
#include "plan/adjacency.h"
#include "store/graph.h"

#include "tap.h"

#include <stdint.h>

#define HASH "0123456789abcdfghijklmnpqrsvwxyz"

/* A graph with its affinity. */
struct fixture {
	struct graph graph;
	struct adjacency adjacency;
	struct affinity affinity;
};

/* weight and class are functions of the path; NULL for none. */
static void begin(struct fixture *f, const char *text, double (*weight)(const char *path),
		  uint64_t (*class)(const char *path))
{
	struct err e;

	*f = (struct fixture){0};
	if (graph_parse(&f->graph, text, strlen(text), "text", &e) < 0 ||
	    adjacency_init(&f->adjacency, &f->graph, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	size_t n = f->graph.paths.n;
	double *weights = calloc(n, sizeof *weights);
	uint64_t *classes = calloc(n, sizeof *classes);
	for (size_t i = 0; i < n; i++) {
		weights[i] = weight != NULL ? weight(f->graph.paths.name[i]) : 0;
		classes[i] = class != NULL ? class(f->graph.paths.name[i]) : 0;
	}
	affinity_init(&f->affinity, &f->graph, &f->adjacency,
		      weight != NULL ? weights : NULL, class != NULL ? classes : NULL);
	free(weights);
	free(classes);
}

static void end(struct fixture *f)
{
	affinity_release(&f->affinity);
	adjacency_release(&f->adjacency);
	graph_release(&f->graph);
}

/* The path with index `at` in affinity.place. */
static const char *path_at(const struct fixture *f, size_t at)
{
	return f->graph.paths.name[f->adjacency.node[f->affinity.place[at]]];
}

/* The atom of the path, or the number of atoms. */
static size_t atom_of(const struct fixture *f, const char *path)
{
	const struct affinity *k = &f->affinity;

	for (size_t i = 0; i < k->n; i++)
		for (size_t at = k->first[i]; at < k->first[i + 1]; at++)
			if (strcmp(path_at(f, at), path) == 0)
				return i;
	return k->n;
}

static const uint64_t *updates(const struct fixture *f, const char *path)
{
	return f->affinity.update + atom_of(f, path) * f->affinity.words;
}

static const uint64_t *images(const struct fixture *f, const char *path)
{
	return f->affinity.image + atom_of(f, path) * f->affinity.image_words;
}

static double weigh(const struct fixture *f, const char *a, const char *b)
{
	return affinity_weigh_both(&f->affinity, updates(f, a), updates(f, b));
}

static size_t common(const struct fixture *f, const char *a, const char *b)
{
	return affinity_count_common(&f->affinity, images(f, a), images(f, b));
}

/*
 *	app -> lib -> libc
 *	tool -------> libc      data
 */
static const char small[] = "app 8 lib\n"
			    "lib 4 libc\n"
			    "libc 16\n"
			    "tool 2 libc\n"
			    "data 1\n";

static void test_small(void)
{
	struct fixture f;
	const struct affinity *k = &f.affinity;

	begin(&f, small, NULL, NULL);
	tap_ok(k->n == 5 && k->n_paths == 5, "each path is an atom");
	tap_ok(k->weight == 5 && k->table == NULL, "each update has the weight 1");
	tap_ok(affinity_weigh(k, updates(&f, "libc")) == 1, "libc needs itself");
	tap_ok(affinity_weigh(k, updates(&f, "lib")) == 2, "lib needs libc");
	tap_ok(affinity_weigh(k, updates(&f, "app")) == 3, "app needs both");
	tap_ok(affinity_weigh(k, updates(&f, "data")) == 1, "data needs nothing");
	tap_ok(weigh(&f, "app", "lib") == 3, "needs of lib are needs of app");
	tap_ok(weigh(&f, "app", "tool") == 4, "app and tool share libc");
	tap_ok(weigh(&f, "app", "data") == 4, "app and data share nothing");

	tap_int((long long)affinity_count(k, images(&f, "libc")), 4,
		"libc is in 4 images");
	tap_int((long long)affinity_count(k, images(&f, "lib")), 2, "lib is in 2");
	tap_int((long long)affinity_count(k, images(&f, "app")), 1, "app is in its own");
	tap_int((long long)affinity_count(k, images(&f, "data")), 1, "so is data");
	tap_int((long long)common(&f, "libc", "lib"), 2, "lib's images contain libc");
	tap_int((long long)common(&f, "lib", "tool"), 0, "no image needs lib and tool");
	tap_int((long long)common(&f, "app", "libc"), 1, "one image is that of app");

	size_t i = atom_of(&f, "libc");
	tap_ok(k->size[i] == 16 && k->share[i] == 4, "libc's bytes, shared by 4 images");
	i = atom_of(&f, "lib");
	tap_ok(k->size[i] == 4 && k->share[i] == 2, "lib's bytes, shared by 2 images");
	double sum[5] = {0};
	affinity_weigh_sources(k, sum);
	tap_int((long long)k->n_updates, 5, "each path is updated");
	tap_ok(sum[atom_of(&f, "libc")] == 1 && sum[atom_of(&f, "app")] == 1,
	       "each atom has an update of its own");
	end(&f);
	affinity_release(&f.affinity);
	tap_ok(f.affinity.n == 0, "released twice");
}

static double weight_of(const char *path)
{
	return strcmp(path, "libc") == 0 ? 0.5 : strcmp(path, "app") == 0 ? 10 : 0;
}

static void test_weights(void)
{
	struct fixture f;
	const struct affinity *k = &f.affinity;

	begin(&f, small, weight_of, NULL);
	tap_ok(k->weight == 10.5, "the weight of all updates");
	tap_ok(affinity_weigh(k, updates(&f, "libc")) == 0.5, "of libc");
	tap_ok(affinity_weigh(k, updates(&f, "lib")) == 0.5, "of lib: only libc's");
	tap_ok(affinity_weigh(k, updates(&f, "app")) == 10.5, "of app: libc's, too");
	tap_ok(affinity_weigh(k, updates(&f, "data")) == 0, "of data: none");
	tap_ok(weigh(&f, "tool", "app") == 10.5, "of both");
	tap_int((long long)affinity_count(k, images(&f, "libc")), 4,
		"images have no weight");
	double sum[5] = {1, 1, 1, 1, 1};
	affinity_weigh_sources(k, sum);
	tap_ok(sum[atom_of(&f, "libc")] == 1.5 && sum[atom_of(&f, "app")] == 11 &&
		   sum[atom_of(&f, "lib")] == 1,
	       "the weights of updates are added to their atoms");
	bool own = k->n_updates == 2;
	for (size_t i = 0; i < k->n_updates; i++)
		own = own && affinity_weight(k, i) ==
				 weight_of(path_at(&f, k->first[k->source[i]]));
	tap_ok(own, "an update has the weight of its path");
	end(&f);

	const double weight[64] = {[0] = 1, [7] = 2, [8] = 4, [63] = 8};
	double *table = affinity_table(weight, 1);
	tap_ok(table[0x81] == 3 && table[1 << 8 | 0xff] == 4 &&
		   table[7 << 8 | 0x80] == 8 && table[2 << 8 | 0xff] == 0,
	       "a table of weights");
	free(table);
}

static void has_size(const char *size, double want)
{
	struct fixture f;
	char text[64], what[64];

	snprintf(text, sizeof text, "a %s\n", size);
	snprintf(what, sizeof what, "the size %s is rounded to %.0f", size, want);
	begin(&f, text, NULL, NULL);
	tap_ok(f.affinity.n == 1 && f.affinity.size[0] == want, what);
	end(&f);
}

static void test_sizes(void)
{
	has_size("1", 1);
	has_size("2", 2);
	has_size("3", 4);
	has_size("4", 4);
	has_size("5", 4);
	has_size("6", 8);
	has_size("11", 8);
	has_size("12", 16);
	has_size("1023", 1024);
	has_size("1448", 1024); /* 1024 times the root of 2 is 1448.15 */
	has_size("1449", 2048);
	has_size("4611686018427387904", 4611686018427387904.0);
	has_size("9223372036854775807", 9223372036854775808.0);
}

static void test_compare(void)
{
#define BEFORE(a, b, what) \
	tap_ok(affinity_compare(a, b) < 0 && affinity_compare(b, a) > 0, what)
	BEFORE("/nix/store/z-a", "/nix/store/a-b", "names before hashes");
	BEFORE("/nix/store/a-b", "/nix/store/z-b", "hashes of the same name");
	BEFORE("/my-z-store/z-a", "/my-a-store/a-b", "dashes in the store do not count");
	BEFORE("/my-store/" HASH "-a-2", "/my-store/" HASH "-b-1",
	       "a name starts after the first dash");
	BEFORE("/a/x-n", "/b/x-n", "the store of the same name and hash");
	BEFORE("/nix/store/x-B", "/nix/store/x-a", "byte order");
	BEFORE("/nix/store/x-a", "/nix/store/x-\xc3\xa9", "of unsigned bytes");
	BEFORE("/nix/store/x-a", "/nix/store/x-a-1", "a shorter name");
	tap_int(affinity_compare("/nix/store/x-a", "/nix/store/x-a"), 0, "the same path");
}

static void test_mix(void)
{
	tap_ok(affinity_mix(0) == 0, "the hash of 0 is 0");
	bool differs = true;
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t change =
		    affinity_mix(12345) ^ affinity_mix(12345 ^ (uint64_t)1 << bit);
		unsigned n = 0;
		for (; change != 0; change &= change - 1)
			n++;
		differs = differs && n > 10 && n < 54;
	}
	tap_ok(differs, "each bit changes about half of the hash");
}

/* --- large graphs --- */

enum { LARGE = 4000 };

/*
 * Appends LARGE paths in the order of the step. Path i has a size of i % 50 + 1, or much
 * more if i is a multiple of 100. It refers to the paths i / 2 and i / 3.
 */
static void put_large(struct buf *out, const char *store, char hash, unsigned step)
{
	for (unsigned n = 0; n < LARGE; n++) {
		unsigned i = n * step % LARGE;
		buf_addf(out, "%s/%c%04u-p%u %u", store, hash, i * 7 % LARGE, i,
			 i % 100 == 0 ? 1000000 + i : i % 50 + 1);
		for (unsigned d = 2; i > 0 && d <= 3; d++)
			buf_addf(out, " %s/%c%04u-p%u", store, hash, i / d * 7 % LARGE,
				 i / d);
		buf_addch(out, '\n');
	}
}

/* The atoms as text: names only, in the order of the atoms. */
static void show(const struct fixture *f, struct buf *out)
{
	const struct affinity *k = &f->affinity;

	for (size_t i = 0; i < k->n; i++) {
		for (size_t at = k->first[i]; at < k->first[i + 1]; at++)
			buf_addf(out, "%s ", strchr(strrchr(path_at(f, at), '/'), '-'));
		buf_addf(out, "%.0f %.9f %.0f %zu\n", k->size[i], k->share[i],
			 affinity_weigh(k, k->update + i * k->words),
			 affinity_count(k, k->image + i * k->image_words));
	}
}

static uint64_t parity(const char *path)
{
	return (uint64_t)(path[strlen(path) - 1] - '0') % 2;
}

static void test_large(void)
{
	struct buf text = {0}, first = {0}, other = {0};
	struct fixture f;
	const struct affinity *k = &f.affinity;

	put_large(&text, "/nix/store", 'a', 1);
	begin(&f, text.data, NULL, NULL);
	tap_ok(k->n <= AFFINITY_ATOMS && k->n_paths == LARGE,
	       "4000 paths have few atoms");
	tap_ok(k->words * 64 < AFFINITY_EVENTS * 5 / 4, "and a sample of events");
	bool *seen = calloc(LARGE, sizeof *seen), once = true;
	for (size_t at = 0; at < k->first[k->n]; at++) {
		once = once && !seen[k->place[at]];
		seen[k->place[at]] = true;
	}
	tap_ok(once && k->first[0] == 0 && k->first[k->n] == LARGE,
	       "each path is in one atom");
	free(seen);
	bool alone = true;
	for (unsigned i = 0; i < LARGE; i += 100) {
		char path[64];
		snprintf(path, sizeof path, "/nix/store/a%04u-p%u", i * 7 % LARGE, i);
		size_t atom = atom_of(&f, path);
		alone = alone && k->first[atom + 1] - k->first[atom] == 1;
	}
	tap_ok(alone, "the largest paths are atoms of their own");
	/* Every path needs p0, so the image of each contains it: a sample of all. */
	double all = (double)affinity_count(k, images(&f, "/nix/store/a0000-p0"));
	tap_ok(all > AFFINITY_EVENTS * 0.8 && all < AFFINITY_EVENTS * 1.2,
	       "the sample has about as many events as it may");
	show(&f, &first);
	end(&f);

	buf_clear(&text);
	put_large(&text, "/nix/store", 'a', 1237);
	begin(&f, text.data, NULL, NULL);
	show(&f, &other);
	tap_ok(strcmp(first.data, other.data) == 0, "the order of lines does not matter");
	end(&f);

	buf_clear(&text);
	buf_clear(&other);
	put_large(&text, "/my-own-store", 'z', 7);
	begin(&f, text.data, NULL, NULL);
	show(&f, &other);
	tap_ok(strcmp(first.data, other.data) == 0, "nor do hashes and the store");
	end(&f);

	begin(&f, text.data, NULL, parity);
	bool pure = true;
	for (size_t i = 0; i < k->n; i++)
		for (size_t at = k->first[i]; at < k->first[i + 1]; at++)
			pure = pure && parity(path_at(&f, at)) ==
					   parity(path_at(&f, k->first[i]));
	tap_ok(pure && k->n <= AFFINITY_ATOMS + 2, "classes have different atoms");
	end(&f);
	buf_release(&text);
	buf_release(&first);
	buf_release(&other);
}

int main(void)
{
	test_small();
	test_weights();
	test_sizes();
	test_compare();
	test_mix();
	test_large();
	return tap_done();
}
