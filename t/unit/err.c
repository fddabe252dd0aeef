#include "base/err.h"

#include "tap.h"

#include <errno.h>

static void test_prefix(void)
{
	char longer[2 * sizeof(struct err)];
	struct err e;

	err_set(&e, "reason");
	tap_int(err_prefix(&e, "%s:%d", "file", 3), -1, "a prefix returns -1");
	tap_is(e.text, "file:3: reason", "and comes before the reason");
	err_prefix(&e, "tool");
	tap_is(e.text, "tool: file:3: reason", "also before another one");

	memset(longer, 'x', sizeof longer);
	longer[sizeof longer - 1] = '\0';
	err_set(&e, "reason");
	err_prefix(&e, "%s", longer);
	tap_int((long long)strlen(e.text), sizeof e.text - 1, "a long one is truncated");
	err_set(&e, "%s", longer);
	err_prefix(&e, "file");
	tap_ok(strlen(e.text) == sizeof e.text - 1 &&
		   strncmp(e.text, "file: xxx", 9) == 0,
	       "so is a long reason");
	err_set(&e, "reason");
	err_prefix(&e, "%.*s", (int)sizeof e.text - 4, longer);
	tap_is(e.text + sizeof e.text - 6, "xx: r", "what fits is there");
}

static void test_errno(void)
{
	struct err e;

	errno = ENOENT;
	tap_int(err_set_errno(&e, "%s", "file"), -1, "a failed call returns -1");
	tap_is(e.text, "file: No such file or directory", "and has its reason");
}

int main(void)
{
	err_init("err");
	test_prefix();
	test_errno();
	return tap_done();
}
