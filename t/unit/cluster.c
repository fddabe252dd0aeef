/* The module is tested by the plans that transfer makes of its groups. */
#include "plan/cluster.h"

#include "base/buf.h"
#include "base/err.h"
#include "plan/plan.h"
#include "plan/previous.h"
#include "plan/transfer.h"
#include "store/graph.h"

#include "tap.h"

#include <stdint.h>

/*
 * Appends the plan of a graph. previous[i] is the earlier layer of the path in line i,
 * and `previous` may be NULL.
 */
static void plan(const char *text, size_t limit, const double *weight,
		 const uint32_t *previous, struct buf *out)
{
	struct graph g = {0};
	struct plan p = {0};
	struct err e;

	buf_addstr(out, "");
	if (graph_parse(&g, text, strlen(text), "text", &e) < 0 ||
	    transfer_plan(&g, limit, weight, previous, NULL, &p, &e) < 0)
		buf_addstr(out, e.text);
	else
		plan_write(&p, &g, out);
	plan_release(&p);
	graph_release(&g);
}

static void plans(const char *text, size_t limit, const double *weight,
		  const uint32_t *previous, const char *want, const char *what)
{
	struct buf out = {0};

	plan(text, limit, weight, previous, &out);
	tap_is(out.data, want, what);
	buf_release(&out);
}

static void test_small(void)
{
	/*
	 * With 2 layers, sharing has its largest weight, 0.07, and chains always have
	 *0.3. The costs, where h is 0.94 for an unwanted share of 0.25, and 1 if no image
	 *wants both paths:
	 *
	 *	other, app lib		1/3 + 2/3 * 2 + 0.3 * 7/3 + 0.07 * 2 * 0.94 = 2.5
	 *	lib, app other		1/3 + 3/3 * 2 + 0.3 * 7/3 + 0.07 * 2 * 1    = 3.2
	 *	lib other, app		2/3 * 2 + 2/3 + 0.3 * 7/3 + 0.07 * 2 * 1    = 2.8
	 */
	static const char three[] = "app 1024 lib\nlib 1024\nother 1024\n";
	static const char equal[] = "big 1048576\nx 16\ny 16\n";

	plans("a 1\n", 1, NULL, NULL, "a\n", "one path");
	plans(three, 1, NULL, NULL, "app lib other\n", "one layer");
	plans(three, 2, NULL, NULL, "other\napp lib\n", "two layers");
	plans(three, 3, NULL, NULL, "other\nlib\napp\n", "a layer for each path");
	plans(three, 100, NULL, NULL, "other\nlib\napp\n", "and no more");
	plans(equal, 2, NULL, NULL, "big\nx y\n", "small paths cost less together");
	plans("a 1\nb 0\n", 1, NULL, NULL, "a b\n", "an empty path");

	/*
	 * Only updates of app happen. If app is alone at the top, they cost 1.3 and
	 * sharing. Otherwise, they cost at least 2.6.
	 */
	static const double app_only[] = {1, 0, 0};
	plans(three, 2, app_only, NULL, "lib other\napp\n", "a path that changes alone");
}

static void test_before(void)
{
	static const char three[] = "app 1024 lib\nlib 1024\nother 1024\n";
	static const uint32_t kept[] = {PREVIOUS_NONE, 7, 7};
	static const uint32_t none[] = {PREVIOUS_NONE, PREVIOUS_NONE, PREVIOUS_NONE};
	static const uint32_t all[] = {3, 3, 3}, other[] = {0, 1, 0};

	plans(three, 2, NULL, kept, "lib other\napp\n", "an earlier layer is kept");
	plans(three, 3, NULL, kept, "lib other\napp\n", "even if there may be more");
	plans(three, 1, NULL, kept, "app lib other\n", "or merged with others");
	plans(three, 5, NULL, all, "app lib other\n", "one earlier layer");
	plans(three, 2, NULL, other, "app other\nlib\n", "one that costs more");
	plans(three, 3, NULL, none, "other\nlib\napp\n", "only new paths");
	plans(three, 2, NULL, none, "other\napp lib\n", "which are merged");
}

/* --- any number of groups --- */

enum { PATHS = 60 };

/*
 * Appends PATHS paths in the order of the step. Path i has a size of (i % 9 + 1) KiB, and
 * refers to the paths i / 2 and i - 5.
 */
static void put_graph(struct buf *out, const char *store, unsigned step)
{
	for (unsigned n = 0; n < PATHS; n++) {
		unsigned i = n * step % PATHS;
		buf_addf(out, "%s/%02u-p%02u %u", store, i, i, (i % 9 + 1) << 10);
		if (i > 0)
			buf_addf(out, " %s/%02u-p%02u", store, i / 2, i / 2);
		if (i >= 5)
			buf_addf(out, " %s/%02u-p%02u", store, i - 5, i - 5);
		buf_addch(out, '\n');
	}
}

static size_t count(const char *text, char c)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == c;
	return n;
}

static void test_limits(void)
{
	static const char dashed[] = "/my-0-repo"; /* as long as /nix/store */
	struct buf text = {0}, shuffled = {0}, dashes = {0}, out = {0}, other = {0};
	bool few = true, complete = true, same = true, any_store = true;

	put_graph(&text, "/nix/store", 1);
	put_graph(&shuffled, "/nix/store", 37);
	put_graph(&dashes, dashed, 59);
	for (size_t limit = 1; limit <= PATHS + 1; limit++) {
		buf_clear(&out);
		plan(text.data, limit, NULL, NULL, &out);
		few = few && count(out.data, '\n') <= limit;
		complete = complete && count(out.data, '/') == 3 * PATHS;
		for (unsigned i = 0; i < PATHS; i++) {
			char path[32];
			snprintf(path, sizeof path, "/nix/store/%02u-p%02u", i, i);
			complete = complete && strstr(out.data, path) != NULL;
		}
		buf_clear(&other);
		plan(shuffled.data, limit, NULL, NULL, &other);
		same = same && strcmp(out.data, other.data) == 0;

		buf_clear(&other);
		plan(dashes.data, limit, NULL, NULL, &other);
		for (char *p = other.data; (p = strstr(p, dashed)) != NULL;)
			memcpy(p, "/nix/store", strlen(dashed));
		any_store = any_store && strcmp(out.data, other.data) == 0;
	}
	tap_ok(few, "there are at most as many layers as allowed");
	tap_ok(complete, "each path is in one layer");
	tap_ok(same, "the order of lines does not matter");
	tap_ok(any_store, "nor do dashes in the path of the store");
	tap_int((long long)count(out.data, '\n'), PATHS, "at last, each path is alone");
	buf_release(&text);
	buf_release(&shuffled);
	buf_release(&dashes);
	buf_release(&out);
	buf_release(&other);
}

/* 1536 atoms at most, so some groups of a large graph have several paths. */
static void test_large(void)
{
	struct buf text = {0}, out = {0};

	for (unsigned i = 0; i < 2000; i++)
		buf_addf(&text, "/s/%04u-p%04u %u /s/0000-p0000\n", i, i, i + 1);
	plan(text.data, 30, NULL, NULL, &out);
	tap_ok(count(out.data, '\n') <= 30 && count(out.data, '/') == 4000,
	       "2000 paths in 30 layers");
	buf_release(&text);
	buf_release(&out);
}

int main(void)
{
	test_small();
	test_before();
	test_limits();
	test_large();
	return tap_done();
}
