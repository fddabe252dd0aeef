#include "base/cache.h"

#include "base/buf.h"

#include "tap.h"

#include <fcntl.h>

static char scratch[] = "/tmp/dt-unit-XXXXXX";

/* Changes the bytes of a fact's file by a shell command that has its name in $f. */
static void damage(const char *command)
{
	struct buf line = {0};

	buf_addf(&line, "f=%s/sub/kind/key && %s", scratch, command);
	if (system(line.data) != 0) /* NOLINT(cert-env33-c): the test's own text */
		abort();
	buf_release(&line);
}

static void is_missed(const struct cache *c, const char *what)
{
	struct buf fact = {0};

	tap_ok(!cache_get(c, "kind", "key", &fact), what);
	buf_release(&fact);
	cache_put(c, "kind", "key", "fact", 4);
}

static void test_dir(const char *name, const char *value, const char *want)
{
	struct cache c;

	setenv(name, value, 1);
	cache_init(&c, true);
	if (want == NULL)
		tap_ok(c.dir == NULL, "no directory, no cache");
	else
		tap_is(c.dir, want, "where the cache is");
	cache_release(&c);
}

int main(void)
{
	struct cache c;
	struct buf fact = {0}, dir = {0};

	if (mkdtemp(scratch) == NULL)
		return 1;
	unsetenv("HOME");
	unsetenv("XDG_CACHE_HOME");
	test_dir("DT_CACHE", "", NULL);
	test_dir("HOME", "/no/such/home", NULL);
	test_dir("HOME", "/", "//.cache/dt");
	test_dir("XDG_CACHE_HOME", "/x", "/x/dt");
	test_dir("DT_CACHE", "/d", "/d");
	test_dir("DT_CACHE", "relative", "relative");
	test_dir("DT_CACHE", "", "/x/dt");
	test_dir("XDG_CACHE_HOME", "relative", NULL);
	buf_addf(&dir, "%s/sub", scratch);
	setenv("DT_CACHE", dir.data, 1);

	cache_init(&c, false);
	cache_put(&c, "kind", "key", "fact", 4);
	tap_ok(!cache_get(&c, "kind", "key", &fact), "a cache that is off");
	tap_ok(access(dir.data, F_OK) < 0, "writes nothing");
	cache_release(&c);

	cache_init(&c, true);
	is_missed(&c, "nothing is known yet");
	buf_addstr(&fact, "old");
	tap_ok(cache_get(&c, "kind", "key", &fact), "a fact");
	tap_is(fact.data, "fact", "replaces what was there");
	tap_ok(!cache_get(&c, "kind", "other", &fact), "another key");
	tap_ok(!cache_get(&c, "other", "key", &fact), "another kind");
	cache_put(&c, "kind", "key", "new", 3);
	tap_ok(cache_get(&c, "kind", "key", &fact) && strcmp(fact.data, "new") == 0,
	       "a fact written anew");
	cache_put(&c, "kind", "nothing", "", 0);
	tap_ok(cache_get(&c, "kind", "nothing", &fact) && fact.len == 0, "an empty fact");
	cache_put(&c, "kind", "bytes", "a\0\n", 3);
	tap_ok(cache_get(&c, "kind", "bytes", &fact) && fact.len == 3 &&
		   memcmp(fact.data, "a\0\n", 4) == 0,
	       "any bytes");
	damage("set -- \"${f%/*}\"/* \"${f%/*}\"/.[!.]* && [ $# = 4 ]");
	tap_ok(true, "no drafts are left");

	damage("printf x >>$f");
	is_missed(&c, "a byte too much");
	damage("truncate -s -1 $f");
	is_missed(&c, "a byte less");
	damage("truncate -s 64 $f");
	is_missed(&c, "a checksum alone");
	damage(": >$f");
	is_missed(&c, "an empty file");
	damage("cp ${f%key}bytes $f");
	is_missed(&c, "another fact's file");
	damage("rm $f && mkdir $f");
	is_missed(&c, "a directory");
	damage("rmdir $f && rm -r ${f%/*} && : >${f%/*}");
	is_missed(&c, "a file where a directory should be");
	damage("rm -r ${f%/sub/*}/sub");
	is_missed(&c, "a cache that was deleted");
	tap_ok(cache_get(&c, "kind", "key", &fact), "is filled again");
	cache_release(&c);

	damage("rm -r ${f%/sub/*}");
	buf_release(&fact);
	buf_release(&dir);
	return tap_done();
}
