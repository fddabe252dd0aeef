/*
 * Without arguments, a test; with UPPER, LOWER and TAR, writes the layer that the upper
 * side of an overlay makes over the lower one to the file TAR, for tests with faults.
 */
#include "run/changes.h"

#include "archive/tar.h"
#include "base/err.h"

#include "tap.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>

static int write_layer(const char *upper, const char *lower, int out, struct changes *p,
		       struct err *e)
{
	*p = (struct changes){.out = out, .mtime = 1, .limit = INT64_MAX};
	p->upper = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p->lower = open(lower, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->upper < 0 || p->lower < 0)
		return err_set_errno(e, "%s", p->upper < 0 ? upper : lower);
	int result = changes_layer(p, e);
	close(p->upper);
	close(p->lower);
	return result;
}

static void test_nothing(void)
{
	char dir[] = "/tmp/dt-pack.XXXXXX";
	FILE *file = tmpfile();
	struct changes p;
	struct err why;

	tap_ok(mkdtemp(dir) != NULL && write_layer(dir, dir, fileno(file), &p, &why) == 0,
	       "a directory over itself");
	tap_ok(p.size == TAR_RECORD, "is an empty layer");
	rmdir(dir);
	fclose(file);
}

int main(int argc, char **argv)
{
	struct changes p;
	struct err why;

	err_init("pack");
	if (argc == 4) {
		int out = open(argv[3], O_RDWR | O_CREAT | O_TRUNC, 0666);
		if (out < 0)
			die_errno("%s", argv[3]);
		if (write_layer(argv[1], argv[2], out, &p, &why) < 0)
			die("%s", why.text);
		close(out);
		return 0;
	}
	test_nothing();
	return tap_done();
}
