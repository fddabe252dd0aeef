#include "store/graph.h"

#include "base/buf.h"
#include "base/err.h"

#include "tap.h"

/* The canonical text of a graph's text, or why there is none. */
static void is_read(const char *text, const char *want, const char *what)
{
	struct graph g = {0};
	struct buf out = {0};
	struct err e;

	if (graph_parse(&g, text, strlen(text), "text", &e) < 0 ||
	    graph_write(&g, NULL, &out, &e) < 0)
		tap_is(e.text, want, what);
	else
		tap_is(out.data, want, what);
	buf_release(&out);
	graph_release(&g);
}

static void test_skip(void)
{
	static const char text[] = "d 1 b c\nc 1 a\nb 1 a\na 1\n";
	struct graph g = {0};
	struct buf out = {0};
	struct err e;
	bool skip[4] = {0};

	tap_int(graph_parse(&g, text, strlen(text), "text", &e), 0, "a diamond");
	skip[graph_node(&g, "b", 1)] = true;
	skip[graph_node(&g, "a", 1)] = true;
	tap_int(graph_write(&g, skip, &out, &e), 0, "written in part");
	tap_is(out.data, "c 1\nd 1 c\n", "what is left out is not referred to");
	buf_release(&out);
	graph_release(&g);
}

static void test_build(void)
{
	struct graph g = {0};
	struct err e;
	char name[32], last[32] = "";
	bool sorted = true;

	graph_release(&g);
	uint32_t a = graph_node(&g, "a", 1), b = graph_node(&g, "b", 1);
	graph_refer(&g, a, b);
	graph_refer(&g, a, b);
	graph_refer(&g, a, a);
	tap_ok(g.node[a].n_refs == 1 && g.node[b].n_refs == 0, "a reference counts once");
	tap_ok(!g.node[a].known && graph_node(&g, "ab", 1) == a, "a node is found again");
	graph_release(&g);

	for (unsigned i = 0; i < 3000; i++) {
		int len = snprintf(name, sizeof name, "n%u", i * 7919 % 3000);
		graph_node(&g, name, (size_t)len);
	}
	uint32_t *order = calloc(g.paths.n, sizeof *order);
	tap_int(graph_sort(&g, order, &e), 0, "3000 paths without references");
	for (size_t i = 0; i < g.paths.n; i++) {
		sorted = sorted && strcmp(last, g.paths.name[order[i]]) < 0;
		snprintf(last, sizeof last, "%s", g.paths.name[order[i]]);
	}
	tap_ok(sorted, "come in byte order");
	for (uint32_t i = 0; i + 1 < 3000; i++)
		graph_refer(&g, order[i], order[i + 1]);
	uint32_t *other = calloc(g.paths.n, sizeof *other);
	tap_int(graph_sort(&g, other, &e), 0, "each referring to the next");
	for (size_t i = 0; i < 3000; i++)
		sorted = sorted && other[i] == order[2999 - i];
	tap_ok(sorted, "come the other way round");
	graph_refer(&g, order[2999], order[0]);
	tap_ok(graph_sort(&g, other, &e) < 0 &&
		   strstr(e.text, "the references form a cycle: n") == e.text,
	       "a cycle of them all");
	free(order);
	free(other);
	graph_release(&g);
}

int main(void)
{
	is_read("a 1\n", "a 1\n", "one path");
	is_read("a 0 a a\n", "a 0\n", "references to itself");
	is_read("b 2 a\na 1\n", "a 1\nb 2 a\n", "references come first");
	is_read("z 1\na 1 z\nm 1\n", "m 1\nz 1\na 1 z\n", "ties in byte order");
	is_read("d 1 c b a b\nc 1\nb 1\na 1\n", "a 1\nb 1\nc 1\nd 1 a b c\n",
		"references are sorted");
	is_read("a 1\na 1\n", "a 1\n", "the same line twice");
	is_read("c 1 a b\nc 1 b a c\na 1\nb 1\n", "a 1\nb 1\nc 1 a b\n",
		"the same references twice");
	is_read("a 9223372036854775807\n", "a 9223372036854775807\n", "the largest size");
	is_read("\xff\x01 007\n", "\xff\x01 7\n", "any bytes");
	is_read("", "text: empty, a graph is expected", "no text");
	is_read("\n", "text:1: a line starts with its store path", "an empty line");
	is_read("a 1", "text:1: truncated in the middle of a line", "no newline");
	is_read("a 1\nb", "text:2: truncated in the middle of a line", "half a line");
	is_read("a\n", "text:1: '' is not a size in bytes", "no size");
	is_read("a \n", "text:1: '' is not a size in bytes", "an empty size");
	is_read("a 1 \n", "text:1: words are separated by single blanks",
		"a blank too much");
	is_read("a 1 b  c\n", "text:1: words are separated by single blanks",
		"two blanks");
	is_read("a 9223372036854775808\n",
		"text:1: '9223372036854775808' is not a size in bytes",
		"too large a size");
	is_read("a 1 b\n", "text: b is referred to but has no line",
		"a reference to nothing");
	is_read("a 1\na 2\n", "text:2: a has two different lines", "two sizes");
	is_read("a 1\nb 1\na 1 b\n", "text:3: a has two different lines",
		"two sets of references");
	is_read("a 1 b\nb 1 a\n", "the references form a cycle: a -> b -> a", "a cycle");
	is_read("r 1 a\na 1 l b\nb 1 a\nl 1\n",
		"the references form a cycle: a -> b -> a", "a cycle in a graph");
	test_skip();
	test_build();
	return tap_done();
}
