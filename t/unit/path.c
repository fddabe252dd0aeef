#include "archive/path.h"

#include "base/buf.h"

#include "tap.h"

static void cleans(const char *name, const char *want, const char *what)
{
	struct buf out = {0};

	buf_addstr(&out, "old contents");
	path_clean(name, &out);
	tap_is(out.data, want, what);
	tap_int((long long)out.len, (long long)strlen(want), "and its length");
	buf_release(&out);
}

static void leads(const char *link, const char *target, const char *want,
		  const char *what)
{
	struct buf out = {0};

	buf_addstr(&out, "old/contents");
	path_target(link, target, &out);
	tap_is(out.data, want, what);
	buf_release(&out);
}

static void test_clean(void)
{
	struct buf out = {0};

	path_clean("", &out);
	tap_ok(out.data != NULL && out.len == 0, "the root in a new buffer is a string");
	buf_release(&out);
	path_clean("..", &out);
	tap_is(out.data, "", ".. in a new buffer is the root");
	buf_release(&out);

	cleans("", "", "an empty name is the root");
	cleans("/", "", "a slash is the root");
	cleans("///", "", "several slashes are the root");
	cleans(".", "", "a dot is the root");
	cleans("./", "", "a dot and a slash are the root");
	cleans("/./.", "", "dots alone are the root");
	cleans("a/b", "a/b", "a canonical path stays");
	cleans("/a/b", "a/b", "a leading slash is dropped");
	cleans("//a///b//", "a/b", "empty components are dropped");
	cleans("./a/./b/.", "a/b", "components . are dropped");
	cleans("a/", "a", "a slash at the end is dropped");
	cleans("..", "", ".. stays in the root");
	cleans("../../..", "", "several .. stay in the root");
	cleans("/../a", "a", ".. after the root's slash");
	cleans("../a/../../b", "b", ".. leaves the root only in name");
	cleans("a/..", "", ".. removes the only component");
	cleans("a/b/..", "a", ".. removes the last component");
	cleans("a/b/../", "a", "also with a slash at the end");
	cleans("a/b/../c", "a/c", ".. in the middle");
	cleans("a/b/../../c", "c", ".. twice");
	cleans("a/../../../b/c/..", "b", "more .. than components");
	cleans("a/./../b", "b", ". between a component and its ..");
	cleans("a//../b", "b", "an empty component before ..");
	cleans("...", "...", "three dots are a name");
	cleans("a/.../b", "a/.../b", "also in the middle");
	cleans("..a/b../.c/d.", "..a/b../.c/d.", "names may start or end in dots");
	cleans("a\\b/ c\n", "a\\b/ c\n", "other characters stay");
	cleans("\xff\xc3\xa9/\x01", "\xff\xc3\xa9/\x01", "any bytes stay");
}

static void test_long(void)
{
	char component[1001], name[4096], want[4096];

	memset(component, 'x', sizeof component - 1);
	component[256] = '\0';
	cleans(component, component, "a component of 256 bytes");
	component[256] = 'x';
	component[1000] = '\0';
	snprintf(name, sizeof name, "/%s//%s/../%s/", component, component, component);
	snprintf(want, sizeof want, "%s/%s", component, component);
	cleans(name, want, "components of 1000 bytes");
	for (size_t i = 0; i < 3000; i += 3)
		memcpy(name + i, i < 1500 ? "ab/" : "../", 3);
	name[3000] = '\0';
	cleans(name, "", "500 components and as many ..");
	memcpy(name + 2997, "c/", 3);
	cleans(name, "ab/c", "one .. less");
}

static void test_target(void)
{
	leads("a/link", "b", "a/b", "a target is relative to the link's directory");
	leads("link", "b", "b", "a link in the root");
	leads("a/link", "/b/c", "b/c", "an absolute target");
	leads("a/b/link", "/", "", "the root as a target");
	leads("a/b/link", "//..//c", "c", "an absolute target that starts with ..");
	leads("a/b/link", "../c", "a/c", "a target in the parent directory");
	leads("a/b/link", "..", "a", "the parent directory");
	leads("a/b/link", ".", "a/b", "the link's own directory");
	leads("a/b/link", "./link", "a/b/link", "the link itself");
	leads("a/link", "../../../b", "b", "a target outside the root");
	leads("link", "..", "", "the parent of the root");
	leads("a/link", "", "a", "an empty target");
	leads("/a//./link/", "b/", "a/b", "a link whose path is not canonical");
	leads("", "b", "b", "the root as a link");
}

static void test_is_in(void)
{
	tap_ok(path_is_in("a/b", "a"), "a path in a directory");
	tap_ok(path_is_in("a/b/c", "a/b"), "in a deeper one");
	tap_ok(path_is_in("a", "a"), "a directory is in itself");
	tap_ok(path_is_in("a", ""), "all are in the root");
	tap_ok(path_is_in("", ""), "so is the root");
	tap_ok(!path_is_in("", "a"), "the root is in no other directory");
	tap_ok(!path_is_in("a", "a/b"), "a directory is not in its contents");
	tap_ok(!path_is_in("ab", "a"), "a longer name is another one");
	tap_ok(!path_is_in("a", "ab"), "a shorter name, too");
	tap_ok(!path_is_in("ab/c", "a"), "also with contents");
	tap_ok(!path_is_in("b/a", "a"), "the same name elsewhere");
}

int main(void)
{
	test_clean();
	test_long();
	test_target();
	test_is_in();
	return tap_done();
}
