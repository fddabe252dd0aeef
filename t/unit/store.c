#include "store/store.h"

#include "base/buf.h"
#include "base/err.h"

#include "tap.h"

#include <sys/stat.h>

#define HASH "0123456789abcdfghijklmnpqrsvwxyz"

static char scratch[] = "/tmp/dt-unit-XXXXXX";

static size_t base_len(const char *s)
{
	return store_base_len(s, strlen(s));
}

static void test_base_len(void)
{
	char name[400];

	tap_int((long long)base_len(HASH "-a"), 34, "HASH-NAME");
	tap_int((long long)base_len(HASH "-a/bin/sh"), 34, "up to a slash");
	tap_int((long long)base_len(HASH "-a b"), 34, "up to a blank");
	tap_int((long long)base_len(HASH "-+-._?=aZ9\n"), 42,
		"all that names are made of");
	tap_int((long long)base_len(HASH "-"), 0, "no name");
	tap_int((long long)base_len(HASH), 0, "a hash alone");
	tap_int((long long)base_len(HASH "_a"), 0, "no dash");
	tap_int((long long)base_len(&(HASH "-a")[1]), 0, "a hash that is short");
	tap_int((long long)base_len("x" HASH "-a"), 0, "a hash that is long");
	tap_int((long long)base_len("A123456789abcdfghijklmnpqrsvwxyz-a"), 0,
		"upper case");
	tap_int((long long)base_len(""), 0, "nothing");
	tap_int((long long)store_base_len(HASH "-abc", 34), 34,
		"no further than its length");
	tap_int((long long)store_base_len(HASH "-abc", 33), 0,
		"truncated before the name");
	memset(name, 'a', sizeof name);
	memcpy(name, HASH "-", 33);
	name[255] = '\0';
	tap_int((long long)base_len(name), 255, "the longest name");
}

static void test_adopt(void)
{
	struct store s;
	struct err e;
	static const char in[] = "/nix/store/" HASH "-bash/bin/sh";

	store_init(&s, NULL);
	tap_ok(s.dir == NULL && strcmp(s.root, "") == 0, "a store that is not known yet");
	tap_int((long long)store_adopt(&s, "/nix/store", 10), 0,
		"no store path, no store");
	tap_int((long long)store_adopt(&s, "", 0), 0, "an empty path");
	tap_int((long long)store_adopt(&s, in + 1, strlen(in) - 1), 0, "a relative path");
	tap_int((long long)store_adopt(&s, "/" HASH "-a", 35), 0, "a store in the root");
	tap_ok(s.dir == NULL, "none of these tells the store");
	tap_ok(store_check(&s, "/etc/passwd", &e) < 0, "nor does any file");
	tap_is(e.text, "/etc/passwd: not a path in the store (DIR/HASH-NAME is expected)",
	       "which is said");
	tap_int((long long)store_adopt(&s, in, strlen(in)), 48,
		"the store path in a path");
	tap_is(s.dir, "/nix/store", "tells the store");
	tap_int((long long)store_adopt(&s, in, 48), 48, "the same again");
	tap_int((long long)store_adopt(&s, in, 49), 48, "with a slash behind");
	tap_int((long long)store_adopt(&s, "/gnu/store/" HASH "-a", 45), 0,
		"another store");
	tap_int((long long)store_adopt(&s, "/nix/stores" HASH "-a", 45), 0,
		"a longer store");
	tap_int((long long)store_adopt(&s, "/nix/store/a/" HASH "-a", 47), 0,
		"below a directory");
	tap_int((long long)store_adopt(&s, "/nix/store/" HASH "-a b", 47), 0,
		"a blank inside");
	tap_ok(store_check(&s, "/nix/store/" HASH "-a", &e) == 0, "a store path is one");
	tap_ok(store_check(&s, in, &e) < 0, "what is inside of one is none");
	tap_is(e.text,
	       "/nix/store/" HASH
	       "-bash/bin/sh: not a store path but something inside of "
	       "/nix/store/" HASH "-bash",
	       "which is said");
	tap_ok(store_check(&s, "", &e) < 0, "nothing is no store path");
	store_release(&s);
	tap_ok(s.dir == NULL && s.root == NULL, "released");
	store_release(&s);

	store_init(&s, NULL);
	tap_int((long long)store_adopt(&s, "/a/b c/" HASH "-x/y", 43), 41,
		"any directory");
	tap_is(s.dir, "/a/b c", "is the store");
	store_release(&s);
}

static void no_store(const char *dir)
{
	struct store s;

	store_init(&s, dir);
}

static void test_init(void)
{
	struct buf path = {0}, at = {0};
	struct store s;

	buf_addf(&path, "%s/nix", scratch);
	mkdir(path.data, 0700);
	store_init(&s, scratch);
	tap_ok(strcmp(s.dir, scratch) == 0 && strcmp(s.root, "") == 0,
	       "a directory is a store");
	store_release(&s);
	buf_addstr(&path, "/store");
	mkdir(path.data, 0700);
	store_init(&s, scratch);
	tap_ok(strcmp(s.dir, "/nix/store") == 0 && strcmp(s.root, scratch) == 0,
	       "a system has its store inside");
	store_locate(&s, "/nix/store/" HASH "-a", &at);
	buf_clear(&path);
	buf_addf(&path, "%s/nix/store/" HASH "-a", scratch);
	tap_is(at.data, path.data, "where its paths lie");
	store_release(&s);
	tap_dies(1, no_store, "/dev/null", "a file is no store");
	tap_dies(1, no_store, "/nowhere", "nor is what is not there");

	buf_clear(&path);
	buf_addf(&path, "%s/nix/store", scratch);
	rmdir(path.data);
	path.data[path.len - strlen("/store")] = '\0';
	rmdir(path.data);
	buf_release(&path);
	buf_release(&at);
}

static void collect(void *arg, const char *hash, size_t len)
{
	buf_addf(arg, "[%.*s]", (int)(len - STORE_HASH), hash + STORE_HASH);
}

/* The text is put where a step beyond its end shows up. */
static void mentions(const struct store *s, const char *text, size_t len,
		     const char *want, const char *what)
{
	struct buf got = {0};
	char *exact = malloc(len);

	if (len != 0)
		memcpy(exact, text, len);
	buf_addstr(&got, "");
	store_mentions(s, exact, len, collect, &got);
	tap_is(got.data, want, what);
	buf_release(&got);
	free(exact);
}

static void test_mentions(void)
{
#define STORE "/nix/store/"
#define MENTIONS(text, want, what) mentions(&s, text, sizeof(text) - 1, want, what)
	struct store s;

	store_init(&s, NULL);
	store_adopt(&s, STORE HASH "-a", 45);
	MENTIONS("", "", "an empty text");
	MENTIONS(STORE, "", "a store alone");
	MENTIONS(STORE HASH, "", "a hash alone");
	MENTIONS(STORE HASH "-", "", "no name");
	MENTIONS(STORE HASH "-a", "[-a]", "a path alone");
	MENTIONS("nix/store/" HASH "-a", "[-a]", "without its first slash");
	MENTIONS("x\0" STORE HASH "-a\0" STORE HASH "-b\0", "[-a][-b]",
		 "among NUL bytes");
	MENTIONS(STORE HASH "-a:" STORE HASH "-b/bin:" STORE HASH "-a", "[-a][-b][-a]",
		 "a search path");
	MENTIONS(STORE HASH "-a" STORE HASH "-b", "[-a][-b]", "one at another's end");
	MENTIONS("/mnt" STORE "nix/store/" HASH "-a", "[-a]", "after half a one");
	MENTIONS("/gnu/store/" HASH "-a", "", "another store");
	MENTIONS(STORE HASH "-\xc3\xa9", "", "a name of other characters");
	store_release(&s);
}

int main(void)
{
	if (mkdtemp(scratch) == NULL)
		return 1;
	test_base_len();
	test_adopt();
	test_init();
	test_mentions();
	rmdir(scratch);
	return tap_done();
}
