#include "plan/previous.h"

#include "base/buf.h"
#include "base/err.h"
#include "store/graph.h"

#include "tap.h"

#include <stdint.h>

/* app needs lib and font, lib needs libc. */
static const char graph[] = "/s/a3-app-1.2 1 /s/l3-lib-2.0 /s/f1-font\n"
			    "/s/f1-font 1\n"
			    "/s/l3-lib-2.0 1 /s/c2-libc-2.36\n"
			    "/s/c2-libc-2.36 1\n";
enum { APP, LIB, FONT, LIBC };

static void begin(struct graph *g)
{
	struct err e;

	*g = (struct graph){0};
	if (graph_parse(g, graph, strlen(graph), "graph", &e) < 0)
		abort();
}

static int parse(struct previous *p, const struct graph *g, const char *text)
{
	struct err e;

	return previous_parse(p, g, text, strlen(text), "plan", &e);
}

/* The layers of app, lib, font and libc; - for none. */
static void layers(const char *text, const char *want, const char *what)
{
	struct previous p = {0};
	struct graph g;
	char got[5] = "";

	begin(&g);
	parse(&p, &g, text);
	for (size_t i = 0; i < 4; i++)
		got[i] = p.layer[i] == PREVIOUS_NONE ? '-' : (char)('0' + p.layer[i]);
	tap_is(got, want, what);
	previous_release(&p);
	graph_release(&g);
}

static void test_layers(void)
{
	layers("/s/f1-font\n/s/c2-libc-2.36 /s/l3-lib-2.0\n/s/a3-app-1.2\n", "2101",
	       "equal paths");
	layers("/s/f9-font\n/s/c9-libc-2.36 /s/l9-lib-2.0\n/s/a9-app-1.2\n", "2101",
	       "equal names");
	layers("/s/f9-font\n/s/c9-libc-2.35 /s/l9-lib-1.9\n/s/a9-app-1.1\n", "2101",
	       "names without versions");
	layers("/s/c9-libc-2.35\n/s/c8-libc-2.36\n/s/c2-libc-2.36\n", "---2",
	       "the best match");
	layers("/s/c9-libc-2.35\n/s/c8-libc-2.36\n", "---1",
	       "the same version before another one");
	layers("/s/x-other\n", "----", "new paths");
}

/* How often app, lib, font and libc were updated in these plans. */
static void updates(const char *const *text, size_t n, const char *want, const char *what)
{
	struct previous p = {0};
	struct graph g;
	char got[5] = "";

	begin(&g);
	for (size_t i = 0; i < n; i++)
		parse(&p, &g, text[i]);
	for (size_t i = 0; i < 4; i++)
		got[i] = (char)('0' + p.updates[i]);
	tap_is(got, want, what);
	previous_release(&p);
	graph_release(&g);
}

static void test_updates(void)
{
	static const char first[] =
	    "/s/c1-libc-2.36 /s/l1-lib-2.0 /s/f1-font\n/s/a1-app-1.2\n";
	static const char libc[] =
	    "/s/c2-libc-2.36 /s/l2-lib-2.0 /s/f1-font\n/s/a2-app-1.2\n";
	static const char app[] =
	    "/s/c2-libc-2.36 /s/l2-lib-2.0 /s/f1-font\n/s/a3-app-1.2\n";
	static const char both[] =
	    "/s/c3-libc-2.37 /s/l4-lib-2.1 /s/f1-font\n/s/a4-app-1.2\n";
	static const char less[] = "/s/c2-libc-2.36 /s/l2-lib-2.0\n";

	updates((const char *const[]){first}, 1, "0000", "one plan has no updates");
	updates((const char *const[]){first, first}, 2, "0000",
		"nor have two equal plans");
	updates((const char *const[]){first, libc}, 2, "0001",
		"a path that depends on an updated one is not updated itself");
	updates((const char *const[]){first, libc, app}, 3, "1001",
		"updates of three plans");
	updates((const char *const[]){first, app, libc, app}, 4, "2001",
		"updates are counted");
	updates((const char *const[]){libc, both}, 2, "0101",
		"a new version is an update in any case");
	updates((const char *const[]){app, less, app}, 3, "0000",
		"a path that is added is not updated");
}

static void test_stays(void)
{
	struct previous p = {0};
	struct graph g;

	begin(&g);
	parse(&p, &g, "/s/f1-font /s/c2-libc-2.36\n/s/l3-lib-2.0 /s/a2-app-1.2\n");
	tap_ok(p.stays[FONT] && p.stays[LIBC], "a layer with the same paths stays");
	tap_ok(!p.stays[APP] && !p.stays[LIB], "a layer with another path does not");
	parse(&p, &g, "/s/f1-font /s/g-gone\n/s/c2-libc-2.36\n/s/l3-lib-2.0\n");
	tap_ok(!p.stays[FONT], "nor does a layer that had one more path");
	tap_ok(p.stays[LIB] && p.stays[LIBC] && !p.stays[APP], "a new path has no layer");
	previous_release(&p);
	previous_release(&p);
	tap_ok(p.layer == NULL, "released twice");
	graph_release(&g);
}

static void test_weigh(void)
{
	struct previous p = {0};
	struct graph g;
	double weight[] = {[APP] = 1, [LIB] = 2, [FONT] = 3, [LIBC] = 0};

	begin(&g);
	parse(&p, &g, "/s/c1-libc-2.36 /s/l2-lib-2.0\n");
	parse(&p, &g, "/s/c2-libc-2.36 /s/l2-lib-2.1\n");
	tap_ok(p.updates[LIB] == 1 && p.updates[LIBC] == 1, "two updates");
	previous_weigh(&p, weight);
	tap_ok(weight[APP] == 1 && weight[FONT] == 3, "other paths keep their weight");
	tap_ok(weight[LIB] == 2 * (1 + PREVIOUS_UPDATE),
	       "an updated path has a multiple");
	tap_ok(weight[LIBC] == 0, "a weight of 0 stays");
	previous_release(&p);
	graph_release(&g);
}

static void test_errors(void)
{
	struct previous p = {0};
	struct graph g;

	begin(&g);
	tap_ok(parse(&p, &g, "") < 0 && p.layer == NULL, "an empty text is no plan");
	parse(&p, &g, "/s/f1-font\n");
	tap_ok(parse(&p, &g, "/s/l3-lib-2.0\n/s/x") < 0, "a truncated text is no plan");
	tap_ok(p.layer[FONT] == 0 && p.layer[LIB] == PREVIOUS_NONE,
	       "the last plan is unchanged then");
	previous_release(&p);
	graph_release(&g);
}

int main(void)
{
	test_layers();
	test_updates();
	test_stays();
	test_weigh();
	test_errors();
	return tap_done();
}
