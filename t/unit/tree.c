#include "tree/tree.h"

#include "base/digest.h"
#include "base/err.h"
#include "base/io.h"

#include "tap.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>

/* The directory that all tests work in, an absolute path without symlinks. */
static char scratch[PATH_MAX];

/* The absolute path of a file there. */
static const char *path_of(char path[2 * PATH_MAX], const char *name)
{
	snprintf(path, 2 * PATH_MAX, "%s/%s", scratch, name);
	return path;
}

/*
 * Makes the directory `dir` and the files in it, in the order of the words. A word is
 * NAME/MODE for a directory, NAME:CONTENTS for a file, NAME@TARGET for a symlink or
 * NAME=FILE for a hard link.
 */
static void make(const char *dir, const char *words)
{
	char word[512], path[1024], target[1024];

	if (mkdir(dir, 0755) < 0)
		abort();
	for (const char *p = words; *p != '\0';) {
		size_t len = strcspn(p, " ");
		memcpy(word, p, len);
		word[len] = '\0';
		p += len + (p[len] == ' ');

		char *value = word + strcspn(word, ":@=");
		if (*value == '\0')
			value = strrchr(word, '/');
		const char kind = *value;
		*value++ = '\0';
		snprintf(path, sizeof path, "%s/%s", dir, word);
		int result;
		if (kind == '@') {
			result = symlink(value, path);
		} else if (kind == '=') {
			snprintf(target, sizeof target, "%s/%s", dir, value);
			result = link(target, path);
		} else if (kind == ':') {
			result = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
			if (result >= 0)
				result = io_write(result, value, strlen(value)) |
					 close(result);
		} else {
			mode_t mode = (mode_t)strtoul(value, NULL, 8);
			result = mkdir(path, 0700);
			if (result == 0 && *value != '\0')
				result = chmod(path, mode);
		}
		if (result < 0) {
			perror(path);
			abort();
		}
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void clear(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/*
 * Appends the entries in canonical order, in the form of make(). An implied directory
 * ends in '~'.
 */
static void show(const struct tree *t, struct buf *out)
{
	struct tree_reader reader;
	struct buf link = {0};
	char contents[64];

	buf_addstr(out, "");
	tree_reader_init(&reader);
	for (uint32_t i = tree_next(t, 0); i != TREE_END; i = tree_next(t, i)) {
		const struct tree_entry *e = &t->entry[i];
		if (out->len > 0)
			buf_addch(out, ' ');
		tree_path(t, i, out);
		if (S_ISDIR(e->mode)) {
			buf_addf(out, "/%o%s", e->mode & 07777, e->is_implied ? "~" : "");
		} else if (S_ISLNK(e->mode)) {
			buf_addf(out, "@%s", tree_link(t, i, &link));
		} else {
			off_t at = 0;
			int fd = tree_open(&reader, t, i, &at);
			ssize_t n = io_pread(fd, contents, sizeof contents, at);
			buf_addf(out, ":%.*s", n > 0 ? (int)n : 0, n < 0 ? "" : contents);
			close(fd);
		}
	}
	tree_reader_release(&reader);
	buf_release(&link);
}

static void shows(const struct tree *t, const char *want, const char *what)
{
	struct buf out = {0};

	show(t, &out);
	tap_is(out.data, want, what);
	buf_release(&out);
}

/* --- tree_scan --- */

static void scans(const char *words, const struct tree_scan *how, const char *want,
		  const char *what)
{
	struct tree t = {0};
	char path[2 * PATH_MAX];

	make("in", words);
	tree_scan(&t, path_of(path, "in"), how);
	shows(&t, want, what);
	tree_release(&t);
	clear("in");
}

static void scan(const char *path)
{
	struct tree t = {0};

	tree_scan(&t, path, &(struct tree_scan){.no_devices = true});
}

static void test_scan(void)
{
	scans("", NULL, "", "an empty directory");
	scans("b:2 a:1 d/700 d/x: l@a", NULL, "a:1 b:2 d/700 d/x: l@a", "a tree");
	scans("ab:1 a0:1 a.b:1 a-b:1 a/755 a/b:1", NULL,
	      "a/755 a/b:1 a-b:1 a.b:1 a0:1 ab:1", "siblings are sorted, not paths");
	scans("\xf0\x90\x80\x80:1 \xee\x80\x80:1 \xff:1 b:1 B:1", NULL,
	      "B:1 b:1 \xff:1 \xee\x80\x80:1 \xf0\x90\x80\x80:1",
	      "names are sorted by character");
	scans("a/755 a/b/755 a/b/c/755 a/b/c/d:1 a/e:2 f:3", NULL,
	      "a/755 a/b/755 a/b/c/755 a/b/c/d:1 a/e:2 f:3",
	      "a directory comes before its contents");

	struct tree t = {0};
	make("in", "f:abc l@f d/755 d/g:de");
	tree_scan(&t, "in", NULL);
	tap_int((long long)t.bytes, 5, "the size of all files");
	uint32_t f = tree_find(&t, "f"), g = tree_find(&t, "d/g");
	struct stat st;
	tap_ok(f != TREE_END && stat("in/f", &st) == 0 && t.entry[f].size == 3 &&
		   t.entry[f].mode == st.st_mode && t.entry[f].state == tree_state(&st) &&
		   t.entry[f].mtime ==
		       st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec &&
		   t.entry[f].owner == TREE_END,
	       "the metadata of a file");
	tap_int(tree_find(&t, ""), 0, "the root is entry 0");
	tap_int(t.entry[0].parent, TREE_END, "and has no parent");
	tap_int(tree_find(&t, "d/h"), TREE_END, "a name that does not exist");
	tap_int(tree_find(&t, "d/gg"), TREE_END, "a longer name");
	tap_int(tree_find(&t, "f/g"), TREE_END, "a name below a file");
	tap_ok(tree_next(&t, tree_find(&t, "d")) == g, "a directory's contents are next");
	tap_ok(tree_skip(&t, tree_find(&t, "d")) == f, "or skipped");
	tap_ok(tree_next(&t, g) == f, "the last of a directory leads out of it");
	tap_int(tree_skip(&t, 0), TREE_END, "after the root comes nothing");
	tap_int(tree_next(&t, tree_find(&t, "l")), TREE_END, "nor after the last");
	struct buf path = {0};
	buf_addstr(&path, "x/");
	tree_path(&t, g, &path);
	tap_is(path.data, "x/d/g", "a path is appended");
	buf_clear(&path);
	tree_location(&t, g, &path);
	tap_is(path.data, "in/d/g", "where it is on disk");
	buf_clear(&path);
	tree_location(&t, 0, &path);
	tap_is(path.data, "in", "where the root is");
	buf_release(&path);
	tree_release(&t);

	tree_scan(&t, "in/f", NULL);
	tap_ok(t.n == 1 && S_ISREG(t.entry[0].mode) && t.bytes == 3, "a file alone");
	struct tree_reader reader;
	off_t at;
	char text[4] = "";
	tree_reader_init(&reader);
	int fd = tree_open(&reader, &t, 0, &at);
	tap_ok(fd >= 0 && io_pread(fd, text, 4, at) == 3 && strcmp(text, "abc") == 0,
	       "and its contents");
	close(fd);
	tree_reader_release(&reader);
	tree_release(&t);
	tree_scan(&t, "in/l", NULL);
	tap_ok(t.n == 1 && S_ISLNK(t.entry[0].mode) &&
		   strcmp(t.names.data + t.entry[0].link, "f") == 0,
	       "a symlink alone is not followed");
	tree_release(&t);

	tree_scan(&t, "in", NULL);
	unlink("in/f");
	if (symlink("d/g", "in/f") < 0)
		abort();
	tree_reader_init(&reader);
	tap_int(tree_open(&reader, &t, tree_find(&t, "f"), &at), -1,
		"a file that became a symlink is not opened");
	tree_reader_release(&reader);
	tree_release(&t);
	mkfifo("in/fifo", 0600);
	tap_dies(1, scan, "in", "a FIFO is an error on demand");
	tap_dies(1, scan, "nowhere", "a path that does not exist");
	clear("in");
}

static void test_owners(void)
{
	struct tree t = {0};
	const struct tree_owner *a, *b, *c;

	make("in", "d/755 a:1 d/b=a c:2");
	tree_scan(&t, "in", &(struct tree_scan){.keep_owners = true});
	a = &t.owner[t.entry[tree_find(&t, "a")].owner];
	b = &t.owner[t.entry[tree_find(&t, "d/b")].owner];
	c = &t.owner[t.entry[tree_find(&t, "c")].owner];
	tap_ok(a->uid == geteuid() && a->gid == getegid(), "a file has its owner");
	tap_ok(a->ino != 0 && a->ino == b->ino && a->dev == b->dev,
	       "hard links have the same number");
	tap_int((long long)c->ino, 0, "a file with one link has none");
	tap_int((long long)t.owner[t.entry[tree_find(&t, "d")].owner].ino, 0,
		"nor has a directory");
	tree_release(&t);
	clear("in");
}

static void test_follow(void)
{
	const struct tree_scan how = {.follow = true};

	scans("d/700 d/f:1 l@d", &how, "d/700 d/f:1 l/700 l/f:1",
	      "a symlink to a directory becomes this directory");
	scans("d/700 d/f:1 k@d l@k", &how, "d/700 d/f:1 k/700 k/f:1 l/700 l/f:1",
	      "a symlink to such a symlink, too");
	scans("f:1 l@f b@nothing o@.. s@. e@/", &how, "b@nothing e@/ f:1 l@f o@.. s@.",
	      "other symlinks stay");
	scans("d/700 d/up@.. d/f:1", &how, "d/700 d/f:1 d/up@..",
	      "a symlink to a directory that contains it stays");
	scans("a/700 a/l@../b b/700 b/f:1", &how, "a/700 a/l/700 a/l/f:1 b/700 b/f:1",
	      "a symlink in a directory");

	char place[2 * PATH_MAX], path[2 * PATH_MAX];
	struct tree t = {0};
	make("store", "one/755 one/f:1 one/d/755 one/d/g:2");
	make("in",
	     "a@/nix/store/one b@/nix/store/one/d c@/nix/stores/one e@/nix/store/x");
	tree_scan(&t, path_of(path, "in"),
		  &(struct tree_scan){.follow = true,
				      .store = "/nix/store",
				      .place = path_of(place, "store")});
	shows(&t,
	      "a/755 a/d/755 a/d/g:2 a/f:1 b/755 b/g:2 c@/nix/stores/one "
	      "e@/nix/store/x",
	      "symlinks into the store are followed where it is");
	tree_release(&t);
	clear("in");
	clear("store");
}

/* --- tree_merge --- */

/* Sources, of which source i is the directory words[i]. */
struct fixture {
	struct tree tree[4];
	struct tree_source source[4];
	size_t n;
};

static void begin(struct fixture *f, const char *const *words)
{
	static const char *const names[] = {"s0", "s1", "s2", "s3"};

	*f = (struct fixture){0};
	for (; words[f->n] != NULL; f->n++) {
		make(names[f->n], words[f->n]);
		tree_scan(&f->tree[f->n], names[f->n], NULL);
		f->source[f->n] = (struct tree_source){
		    .tree = &f->tree[f->n],
		    .at = "",
		    .as_links = names[f->n][1] == '0' ? "/0" : "/1",
		    .said_as = names[f->n],
		};
	}
}

#define BEGIN(f, ...) begin(f, (const char *const[]){__VA_ARGS__, NULL})

/* Merges and ends the fixture. */
static void merges(struct fixture *f, const char *want, const char *what)
{
	struct tree t = {0};

	tree_merge(&t, f->source, f->n);
	shows(&t, want, what);
	tree_release(&t);
	for (size_t i = 0; i < f->n; i++) {
		tree_release(&f->tree[i]);
		clear((char[]){'s', (char)('0' + i), '\0'});
	}
}

static void merge_conflict(const char *swapped)
{
	struct fixture f;

	if (*swapped != '\0')
		BEGIN(&f, "a/755 a/b/755 a/b/c:1", "a/755 a/b:2");
	else
		BEGIN(&f, "a/755 a/b:2", "a/755 a/b/755 a/b/c:1");
	merges(&f, "", "");
}

static void merge_file(const char *at)
{
	struct fixture f;

	BEGIN(&f, "x:1");
	f.source[0].root = tree_find(&f.tree[0], "x");
	f.source[0].at = at;
	merges(&f, "", "");
}

static void test_merge(void)
{
	struct fixture f;

	BEGIN(&f, "b:1 d/700 d/y:2", "a:3 d/700 d/x:4 l@a");
	merges(&f, "a:3 b:1 d/700 d/x:4 d/y:2 l@a", "two trees");
	BEGIN(&f, "a:1", "a:2");
	merges(&f, "a:1", "the first source wins");
	BEGIN(&f, "a@x", "a:2", "a@y");
	merges(&f, "a@x", "also with a symlink");
	BEGIN(&f, "a/700 a/b:1", "a/700 a/b:2 a/c:2", "a/700 a/c:3 a/d:3");
	merges(&f, "a/700 a/b:1 a/c:2 a/d:3", "in directories");
	BEGIN(&f, "");
	merges(&f, "", "an empty tree");
	BEGIN(&f, "a-b:1 a.b:1", "a/700 a/z:1 a0:1", "a/700 a/b:1");
	merges(&f, "a/700 a/b:1 a/z:1 a-b:1 a.b:1 a0:1", "siblings are sorted");
	BEGIN(&f, "\xff:1", "\xee\x80\x80:1 \xf0\x90\x80\x80:1");
	merges(&f, "\xff:1 \xee\x80\x80:1 \xf0\x90\x80\x80:1", "by character");

	tap_dies(1, merge_conflict, "", "a directory over a file is an error");
	clear("s0");
	clear("s1");
	tap_dies(1, merge_conflict, "x", "a file over a directory is an error");
	clear("s0");
	clear("s1");
	tap_dies(1, merge_file, "", "a file cannot be the root");
	clear("s0");
}

/* Where a source is put, and which of its entries. */
static void test_places(void)
{
	struct fixture f;

	BEGIN(&f, "a:1", "b:2", "c:3");
	f.source[0].at = "usr/share";
	f.source[1].at = "usr";
	merges(&f, "c:3 usr/755~ usr/b:2 usr/share/755~ usr/share/a:1",
	       "directories are implied");
	BEGIN(&f, "a/700 a/b/711 a/b/c:1 a/d:2");
	f.source[0].root = tree_find(&f.tree[0], "a/b");
	f.source[0].at = "x";
	merges(&f, "x/711 x/c:1", "a part of a tree");
	BEGIN(&f, "a/700 a/b/711 a/b/c:1 a/d:2");
	f.source[0].root = tree_find(&f.tree[0], "a");
	merges(&f, "b/711 b/c:1 d:2", "a part of a tree at the root");
	BEGIN(&f, "a/700 a/b:1");
	f.source[0].root = tree_find(&f.tree[0], "a");
	f.source[0].at = "x/y";
	f.source[0].is_moved = true;
	merges(&f, "x/755~ x/y/755~ x/y/b:1", "a moved directory loses its mode");
	BEGIN(&f, "a:1 b:2", "c/700 c/d:3");
	f.source[0].root = tree_find(&f.tree[0], "b");
	f.source[0].at = "c/e";
	merges(&f, "c/700 c/d:3 c/e:2", "a file at a place");

	BEGIN(&f, "a/700 a/b:1 c/700 c/d:2 e:3", "e:4");
	bool *is_left = calloc(f.tree[0].n, sizeof *is_left);
	is_left[tree_find(&f.tree[0], "c")] = is_left[tree_find(&f.tree[0], "e")] = true;
	f.source[0].is_left = is_left;
	merges(&f, "a/700 a/b:1 e:4", "entries are left out, with their contents");
	free(is_left);
}

static void test_modes(void)
{
	struct fixture f;

	BEGIN(&f, "a/711", "a/700");
	merges(&f, "a/711", "the first mode that was chosen");
	BEGIN(&f, "a/755", "a/700");
	merges(&f, "a/700", "0755 was not chosen");
	BEGIN(&f, "a/755", "a/755");
	merges(&f, "a/755~", "if nothing was chosen, it is implied");
	BEGIN(&f, "a/555", "a/700");
	merges(&f, "a/555", "0555 was chosen");
	BEGIN(&f, "a/555", "a/700");
	f.source[0].kind = TREE_COPY;
	merges(&f, "a/700", "but not in a copy");
	BEGIN(&f, "a/555");
	f.source[0].kind = TREE_COPY;
	merges(&f, "a/755~", "which leaves the default");
	BEGIN(&f, "a/1777", "a/700");
	f.source[0].kind = TREE_COPY;
	merges(&f, "a/1777", "a copy may choose others");
	BEGIN(&f, "a/755", "a/700");
	bool *is_kept = calloc(f.tree[0].n, sizeof *is_kept);
	is_kept[tree_find(&f.tree[0], "a")] = true;
	f.source[0].is_kept = is_kept;
	merges(&f, "a/755", "a kept mode counts");
	free(is_kept);

	const struct tree_owner owner = {.uid = 5, .gid = 6};
	struct tree t = {0};
	BEGIN(&f, "a/755 a/b:1", "c:2");
	f.source[0].owner = &owner;
	tree_merge(&t, f.source, f.n);
	const struct tree_entry *a = &t.entry[tree_find(&t, "a")];
	const struct tree_entry *b = &t.entry[tree_find(&t, "a/b")];
	tap_ok(a->owner != TREE_END && t.owner[a->owner].uid == 5 &&
		   b->owner != TREE_END && t.owner[b->owner].gid == 6,
	       "the owner of a source is that of its entries");
	tap_ok(t.entry[tree_find(&t, "c")].owner == TREE_END &&
		   t.entry[0].owner == TREE_END,
	       "but not of others, nor of the root");
	tap_int((long long)t.bytes, 2, "the sizes of both are added");
	tap_ok(t.newest == (f.tree[0].newest > f.tree[1].newest ? f.tree[0].newest
								: f.tree[1].newest),
	       "the newest change is that of both");
	tree_release(&t);
	merges(&f, "a/755~ a/b:1 c:2", "a mode is not chosen by an owner of the source");
}

static void test_links(void)
{
	struct fixture f;

	BEGIN(&f, "a:1 d/700 d/b:2");
	f.source[0].kind = TREE_LINKS;
	merges(&f, "a@/0/a d/755~ d/b@/0/d/b", "files become symlinks");
	BEGIN(&f, "d/755 d/abs@/x d/in@../f d/out@../../f d/deep@e/../../f f:1 "
		  "g@../f h@d/../d/./in i@d/../../f");
	f.source[0].kind = TREE_LINKS;
	merges(&f,
	       "d/755~ d/abs@/x d/deep@e/../../f d/in@../f d/out@/0/d/out f@/0/f "
	       "g@/0/g h@d/../d/./in i@/0/i",
	       "symlinks keep their targets unless these are outside");
	BEGIN(&f, "d/755 d/a:1", "d/755 d/a:2 d/b:3");
	f.source[0].kind = f.source[1].kind = TREE_LINKS;
	merges(&f, "d/755~ d/a@/0/d/a d/b@/1/d/b", "links of two sources");
	BEGIN(&f, "d/755 d/a:1", "d/755 d/b:3");
	f.source[0].kind = TREE_LINKS;
	merges(&f, "d/755~ d/a@/0/d/a d/b:3", "links and files");
	BEGIN(&f, "a/755 a/b/755 a/b/c:1");
	f.source[0].kind = TREE_LINKS;
	f.source[0].root = tree_find(&f.tree[0], "a/b");
	f.source[0].at = "x";
	merges(&f, "x/755~ x/c@/0/a/b/c", "the path of a link is that in the tree");
}

static void test_env(void)
{
	static char *nothing[] = {NULL};
	static char var_lib[] = "var/lib", *open_paths[] = {var_lib, NULL};
	struct fixture f;

#define ENV(opened)                            \
	for (size_t i = 0; i < f.n; i++) {     \
		f.source[i].kind = TREE_GROUP; \
		f.source[i].group = 1;         \
		f.source[i].open = opened;     \
	}
	BEGIN(&f, "bin/700 bin/a:1 own/700 own/c:2", "bin/700 bin/b:3");
	ENV(nothing);
	merges(&f, "bin/755~ bin/a@/0/bin/a bin/b@/1/bin/b own/700 own/c:2",
	       "a directory of one source is copied");
	BEGIN(&f, "bin/700 bin/a:1 own/700 own/c:2", "bin/700 bin/b:3");
	ENV(nothing);
	f.source[0].keeps_links = true;
	merges(&f, "bin/755~ bin/a@/0/bin/a bin/b@/1/bin/b own@/0/own",
	       "or a symlink replaces it");
	BEGIN(&f, "var/700 var/lib/700 var/lib/a:1 var/run/700 var/run/b:2");
	ENV(open_paths);
	merges(&f, "var/755~ var/lib/755~ var/lib/a@/0/var/lib/a var/run/700 var/run/b:2",
	       "an open directory contains symlinks");
	BEGIN(&f, "var/700 var/lib2/700 var/lib2/a:1");
	ENV(open_paths);
	merges(&f, "var/755~ var/lib2/700 var/lib2/a:1", "not one with a longer name");
	BEGIN(&f, "d/700 d/a:1", "d/700 d/b:2");
	ENV(nothing);
	f.source[1].group = 2;
	merges(&f, "d/700 d/a:1 d/b:2", "sources of different environments do not count");
}

/* The state of a tree is that of the disk, and of nothing else. */
static void test_digest(void)
{
	char hex[3][DIGEST_HEX + 1];
	struct digest d;
	struct tree t = {0};

	make("in", "a:1 d/755 d/b:2 l@a");
	for (size_t i = 0; i < 3; i++) {
		if (i == 2 && (unlink("in/l") < 0 || symlink("b", "in/l") < 0))
			abort();
		tree_scan(&t, "in", NULL);
		digest_init(&d);
		tree_digest(&t, &d);
		digest_hex(&d, hex[i]);
		digest_release(&d);
		tree_release(&t);
	}
	tap_is(hex[0], hex[1], "an unchanged tree has the same digest");
	tap_ok(strcmp(hex[0], hex[2]) != 0, "another target has another one");
	clear("in");
}

int main(void)
{
	char template[] = "/tmp/dt-unit-XXXXXX";

	err_init("tree");
	umask(022);
	if (mkdtemp(template) == NULL || chdir(template) < 0 ||
	    getcwd(scratch, sizeof scratch) == NULL)
		return 1;
	test_scan();
	test_owners();
	test_follow();
	test_merge();
	test_places();
	test_modes();
	test_links();
	test_env();
	test_digest();
	tap_ok(rmdir(scratch) == 0, "nothing is left");
	return tap_done();
}
