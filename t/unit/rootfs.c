#include "image/rootfs.h"

#include "archive/tar.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "tree/sink.h"

#include "tap.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

/* The mode of all entries; that of an implied directory is 0755. */
enum { ENTRY = 0700 };

static void put_contents(struct buf *tar, const char *text, size_t len)
{
	static const char zeroes[TAR_BLOCK];

	buf_add(tar, text, len);
	buf_add(tar, zeroes, tar_padding(len));
}

/*
 * Appends the members of a layer. Words are separated by blanks: NAME/ is a directory,
 * NAME:CONTENTS a file, NAME@TARGET a symlink and NAME=TARGET a hard link.
 */
static void put_members(struct buf *tar, const char *words)
{
	char word[8192];

	for (const char *p = words; *p != '\0';) {
		size_t len = strcspn(p, " ");
		memcpy(word, p, len);
		word[len] = '\0';
		p += len + (p[len] == ' ');

		char *value = word + strcspn(word, ":@=");
		char kind = *value;
		*value = '\0';
		struct tar_member m = {.name = word, .mode = ENTRY};
		if (kind == ':') {
			m.type = TAR_FILE;
			m.size = strlen(value + 1);
		} else if (kind == '\0') {
			m.type = TAR_DIRECTORY;
		} else {
			m.type = kind == '@' ? TAR_SYMLINK : TAR_HARDLINK;
			m.link = value + 1;
		}
		tar_header(tar, &m);
		if (kind == ':')
			put_contents(tar, value + 1, (size_t)m.size);
	}
}

/* Writes the bytes to the end of the file. Returns their offset. */
static off_t put_file(int fd, const struct buf *bytes)
{
	off_t at = lseek(fd, 0, SEEK_END);

	if (at < 0 || io_write(fd, bytes->data, bytes->len) < 0)
		abort();
	return at;
}

/* Adds layers, of which the last is NULL, that follow each other in the file `fd`. */
static int build(struct rootfs *r, int fd, const char *const *layers, struct err *e)
{
	struct buf tar = {0};
	int result = 0;

	rootfs_init(r);
	for (; *layers != NULL && result == 0; layers++) {
		buf_clear(&tar);
		buf_addstr(&tar, "");
		put_members(&tar, *layers);
		off_t at = put_file(fd, &tar);
		result = rootfs_add_layer(r, fd, at, tar.len, "layer", e);
	}
	buf_release(&tar);
	return result;
}

/*
 * Appends the tree in the form of put_members(). An implied directory ends in /~ and a
 * file with N names in #N.
 */
static void show(struct rootfs *r, struct buf *out)
{
	char contents[64];

	rootfs_sort(r);
	buf_addstr(out, "");
	for (uint32_t i = rootfs_next(r, 0); i != ROOTFS_NONE; i = rootfs_next(r, i)) {
		const struct rootfs_inode *inode = rootfs_inode(r, i);
		const mode_t mode = rootfs_mode(r, i);
		if (out->len > 0)
			buf_addch(out, ' ');
		rootfs_path(r, i, out);
		if (S_ISDIR(mode)) {
			buf_addstr(out, (mode & 0777) == ENTRY ? "/" : "/~");
		} else if (S_ISLNK(mode)) {
			buf_addf(out, "@%s", r->text.data + inode->link);
		} else if (S_ISREG(mode)) {
			ssize_t n =
			    inode->size < sizeof contents ? (ssize_t)inode->size : 0;
			off_t at;
			int fd = rootfs_open(r, inode, &at);
			if (n > 0)
				n = io_pread(fd, contents, (size_t)n, at);
			rootfs_close(r, inode, fd, n);
			buf_addf(out, ":%.*s", (int)n, contents);
		}
		if (inode->names != 1)
			buf_addf(out, "#%u", inode->names);
	}
}

/* The layers make this tree, or fail for this reason. */
static void makes(const char *const *layers, const char *want, const char *what)
{
	struct buf out = {0};
	struct rootfs r;
	struct err e;
	FILE *file = tmpfile();

	if (build(&r, fileno(file), layers, &e) < 0)
		buf_addstr(&out, e.text);
	else
		show(&r, &out);
	tap_is(out.data, want, what);
	buf_release(&out);
	rootfs_release(&r);
	fclose(file);
}

#define MAKES(want, what, ...) makes((const char *const[]){__VA_ARGS__, NULL}, want, what)

static void test_layers(void)
{
	MAKES("", "an empty layer", "");
	MAKES("a:1 d/ d/b:2 l@t", "a layer", "l@t d/ d/b:2 a:1");
	MAKES("a/~ a/b/~ a/b/c:1", "directories without entries", "a/b/c:1");
	MAKES("a/ a/b/~ a/b/c:1", "an entry after the contents", "a/b/c:1 a/");
	MAKES("a:2 b:1", "a file replaces a file", "a:1 b:1", "a:2");
	MAKES("a:2", "also in one layer", "a:1 a:2");
	MAKES("a:3", "the last of three layers counts", "a:1", "a:2", "a:3");
	MAKES("a/ a/b:1", "a directory keeps the contents below", "a/b:1", "a/");
	MAKES("a/ a/b:1 a/c:2", "a directory without an entry keeps its own", "a/ a/b:1",
	      "a/c:2");
}

static void test_types(void)
{
	MAKES("d:2", "a file replaces a directory and its contents",
	      "d/ d/a:1 d/e/ d/e/b:1", "d:2");
	MAKES("d@t", "so does a symlink", "d/ d/a:1", "d@t");
	MAKES("a/", "a directory replaces a file", "a:1", "a/");
	MAKES("l/", "a directory replaces a symlink", "l@t", "l/");
	MAKES("a/~ a/b:2", "an entry below a file", "a:1", "a/b:2");
	MAKES("d/ l/~ l/b:2", "an entry below a symlink", "d/ l@d", "l/b:2");
	MAKES("d/", "contents do not come back", "d/ d/a:1", "d:2", "d/");
	MAKES("d/ d/e:1", "a file over a directory in one layer", "d/ d/e/f:1 d/e:1");
}

static void test_whiteouts(void)
{
	MAKES("b:1", "a whiteout hides a file", "a:1 b:1", ".wh.a:");
	MAKES("b:1", "a whiteout hides a directory", "a/ a/c/ a/c/d:1 b:1", ".wh.a:");
	MAKES("", "a whiteout hides a symlink", "l@a", ".wh.l:");
	MAKES("d/ d/b:1", "a whiteout in a directory", "d/ d/a:1 d/b:1", "d/.wh.a:");
	MAKES("a:2", "an entry of the same layer after it stays", "a:1", ".wh.a: a:2");
	MAKES("a:2", "an entry of the same layer before it stays", "a:1", "a:2 .wh.a:");
	MAKES("a/ a/c:2", "only contents of the same layer stay", "a/ a/b:1",
	      ".wh.a: a/ a/c:2");
	MAKES("a/ a/c:2", "also before it", "a/ a/b:1", "a/ a/c:2 .wh.a:");
	MAKES("a/~ a/c:2", "a directory without an entry loses its mode", "a/ a/b:1",
	      "a/c:2 .wh.a:");
	MAKES("a:3", "a later layer is not hidden", "a:1", ".wh.a:", "a:3");
	MAKES("", "a whiteout of all layers below", "a:1", "a:2", ".wh.a:");
	MAKES("a:1", "a whiteout in the lowest layer", ".wh.a:", "a:1");
	MAKES("a:1", "a whiteout of a missing name", "a:1", ".wh.b:");
	MAKES("ab:1", "a whiteout of half a name", "ab:1", ".wh.a: .wh.abc:");
	MAKES("n/~", "a whiteout in a missing directory", "", "n/.wh.a:");
	MAKES("a/~", "a whiteout below a file", "a:1", "a/.wh.b:");
	MAKES("", "a whiteout need not be a file", "a:1 b:1", ".wh.a@x .wh.b=a");
	MAKES("layer: '.wh.' is a whiteout without a name", "a whiteout without a name",
	      ".wh.:");
	MAKES("layer: 'd/.wh..' is a whiteout without a name", "a whiteout of .",
	      "d/.wh..:");
	MAKES("layer: '.wh...' is a whiteout without a name", "a whiteout of ..",
	      ".wh...:");
	MAKES("layer: '.wh.a/b' is below a whiteout", "an entry below a whiteout",
	      ".wh.a/b:1");
	MAKES("a:1", "metadata of aufs is ignored",
	      "a:1 .wh..wh.aufs: .wh..wh.plnk/ .wh..wh.plnk/1.2:x", ".wh..wh.orph/");
}

static void test_opaque(void)
{
#define OPAQUE ".wh..wh..opq:"
	MAKES("d/ e:1", "an opaque directory hides its contents", "d/ d/a:1 d/b/c:1 e:1",
	      "d/ d/" OPAQUE);
	MAKES("d/ d/c:3", "contents of the same layer before it stay", "d/ d/a:1 d/b:2",
	      "d/c:3 d/" OPAQUE);
	MAKES("d/ d/c:3", "contents of the same layer after it stay", "d/ d/a:1 d/b:2",
	      "d/" OPAQUE " d/c:3");
	MAKES("d/ d/a:2", "a file that replaces one stays", "d/ d/a:1 d/b:1",
	      "d/a:2 d/" OPAQUE);
	MAKES("d/ d/e/~ d/e/b:2", "a deeper directory loses contents and mode",
	      "d/ d/e/ d/e/a:1", "d/e/b:2 d/" OPAQUE);
	MAKES("d/ d/e/ d/e/b:2", "but keeps the mode of the same layer",
	      "d/ d/e/ d/e/a:1", "d/e/ d/e/b:2 d/" OPAQUE);
	MAKES("d/ d/e/~ d/e/b:2", "also if it comes after", "d/ d/e/ d/e/a:1",
	      "d/" OPAQUE " d/e/b:2");
	MAKES("c:3", "an opaque root", "a:1 b/ b/d:1", OPAQUE " c:3");
	MAKES("d/ d/b:2", "two markers", "d/ d/a:1", "d/" OPAQUE " d/b:2 d/" OPAQUE);
	MAKES("d/ d/e/ d/e/a:2", "markers of a directory and one in it",
	      "d/ d/e/ d/e/a:1 d/e/b:1", "d/e/ d/e/a:2 d/e/" OPAQUE " d/" OPAQUE);
	MAKES("d/ d/b:3", "a later layer is not hidden", "d/ d/a:1", "d/" OPAQUE,
	      "d/b:3");
	MAKES("d/ d/a:1 d/b:2", "an opaque directory in the lowest layer",
	      "d/ d/a:1 d/" OPAQUE, "d/b:2");
	MAKES("f/~", "a marker below a file", "f:1", "f/" OPAQUE);
}

static void test_hardlinks(void)
{
	MAKES("a:1#2 b:1#2", "a hard link", "a:1 b=a");
	MAKES("a:1#3 b:1#3 c:1#3", "a hard link to a hard link", "a:1 b=a", "c=b");
	MAKES("a:2 b:1", "the target is replaced later", "a:1 b=a", "a:2");
	MAKES("a:2 b:1", "also in the same layer", "a:1", "b=a a:2");
	MAKES("a:2#2 b:2#2", "the target is replaced before", "a:1", "a:2 b=a");
	MAKES("b:1", "the target is hidden later", "a:1 b=a", ".wh.a:");
	MAKES("a:1", "the link is hidden later", "a:1 b=a", ".wh.b:");
	MAKES("b:1", "the directory of the target is replaced", "d/ d/a:1 b=d/a", "d:2",
	      ".wh.d:");
	MAKES("a:1#2 d:1#2", "a hard link replaces a directory", "a:1 d/ d/x:2", "d=a");
	MAKES("a:1#2 b:1#2", "a hard link twice", "a:1 b=a b=a");
	MAKES("l@t#2 m@t#2", "a hard link to a symlink", "l@t m=l");
	MAKES("a/ a/f:1#2 g:1#2", "the target need not be canonical", "a/ a/f:1",
	      "g=/x/../a//./f");
	MAKES("a:1 d/~ d/b:1", "a link makes its directories", "a:1", "d/b=a", "a:1");
	MAKES("layer: 'b' is a hard link to 'a', which is not there", "a missing target",
	      "b=a a:1");
	MAKES("layer: 'b' is a hard link to 'a', which is not there", "a hidden target",
	      "a:1", ".wh.a: b=a");
	MAKES("layer: 'd' is a hard link to the directory 'a'", "a directory as target",
	      "a/ d=a");
	MAKES("layer: 'a' is a hard link to itself", "the link itself as target",
	      "a:1 ./a=a");
	MAKES("layer: 'd' is a hard link to 'd/a', which is not there",
	      "a link in place of its target's directory", "d/ d/a:1", "d=d/a");
	MAKES("layer: 'a/b' is a hard link to 'a', which is not there",
	      "a link below its target", "a:1", "a/b=a");
}

static void test_names(void)
{
	char words[5000], want[200];
	struct rootfs r;
	struct err e;
	FILE *file = tmpfile();

	MAKES("a:1 b:2 c:3 d/~ d/f:4", "paths are made canonical",
	      "./a:1 /b:2 ../../c:3 d//e/../f:4");
	MAKES("d/ d/a:1", "a directory with a slash and a dot", "d/./ ./d/a:1");
	MAKES("a:1", "the root may have an entry", "./ a:1");
	MAKES("layer: the root is not a directory", "a file as root", ".:1");
	MAKES("layer: the root is not a directory", "a symlink as root", "/@a");
	MAKES("layer: the root is not a directory", "a hard link as root", "a:1 ..=a");
	MAKES("a/ a/b:1 a-b:1 a.b:1 a0:1 ab:1", "paths are sorted by component",
	      "ab:1 a0:1 a.b:1 a-b:1 a/ a/b:1");
	MAKES("\x7f:1 \xff:1 \xee\x80\x80:1 \xf0\x90\x80\x80:1",
	      "names are sorted by character",
	      "\xf0\x90\x80\x80:1 \xee\x80\x80:1 \xff:1 \x7f:1");
	MAKES("B:1 a:1 \xc3\xa9:1", "and by no locale", "\xc3\xa9:1 a:1 B:1");

	memset(words, 'x', 4095);
	for (size_t i = 100; i < 4095; i += 100)
		words[i] = '/';
	memcpy(words + 4095, ":", 2);
	tap_int(build(&r, fileno(file), (const char *const[]){words, NULL}, &e), 0,
		"a path of 4095 bytes");
	words[4095] = '\0';
	tap_ok(rootfs_find(&r, words) != ROOTFS_NONE, "is found");
	rootfs_release(&r);
	memcpy(words + 4095, "x:", 3);
	snprintf(want, sizeof want, "layer: '%.64s...' is a path of more than 4095 bytes",
		 words);
	MAKES(want, "a path of 4096 bytes", words);
	fclose(file);
}

static void follows(const struct rootfs *r, const char *path, const char *want)
{
	struct buf out = {0};
	char what[128];
	uint32_t node = rootfs_follow(r, path);

	snprintf(what, sizeof what, "'%s' leads to %s", path, want);
	if (node == ROOTFS_NONE)
		buf_addstr(&out, "nothing");
	else if (node == 0)
		buf_addstr(&out, "the root");
	else
		rootfs_path(r, node, &out);
	tap_is(out.data, want, what);
	buf_release(&out);
}

static void test_find(void)
{
	static const char *const layers[] = {
	    "usr/ usr/bin/ usr/bin/sh:1 usr/bin/dash:2 bin@usr/bin abs@/usr/bin "
	    "usr/up@../../../bin loop@loop ping@pong pong@ping broken@nothing "
	    "usr/bin/here@. root@/ usr/bin/rel@sh",
	    NULL};
	struct rootfs r;
	struct err e;
	FILE *file = tmpfile();

	tap_int(build(&r, fileno(file), layers, &e), 0, "a tree with symlinks");
	tap_int(rootfs_find(&r, ""), 0, "the root is node 0");
	tap_int(rootfs_find(&r, "/../."), 0, "in any form");
	uint32_t sh = rootfs_find(&r, "/usr//bin/./x/../sh/");
	tap_ok(sh != ROOTFS_NONE && sh == rootfs_find(&r, "usr/bin/sh"),
	       "a path need not be canonical");
	tap_ok(rootfs_find(&r, "bin/sh") == ROOTFS_NONE, "symlinks are not followed");
	tap_ok(rootfs_find(&r, "usr/bin/s") == ROOTFS_NONE, "half a name is none");
	tap_ok(rootfs_child(&r, rootfs_find(&r, "usr/bin"), "shell", 2) == sh,
	       "a child by the start of a text");
	tap_ok(rootfs_child(&r, 0, "sh", 2) == ROOTFS_NONE, "no child elsewhere");
	follows(&r, "bin/sh", "usr/bin/sh");
	follows(&r, "/abs/sh", "usr/bin/sh");
	follows(&r, "usr/up/sh", "usr/bin/sh");
	follows(&r, "bin", "usr/bin");
	follows(&r, "bin/..", "usr");
	follows(&r, "bin/here/here/rel", "usr/bin/sh");
	follows(&r, "root/../root/usr/", "usr");
	follows(&r, "root", "the root");
	follows(&r, "", "the root");
	follows(&r, "loop", "nothing");
	follows(&r, "ping/sh", "nothing");
	follows(&r, "broken", "nothing");
	follows(&r, "usr/nothing", "nothing");
	rootfs_release(&r);
	fclose(file);
}

/* Metadata, and a tar that is not a layer. */
static void test_tar(void)
{
	struct buf tar = {0}, xattrs = {0};
	struct rootfs r;
	struct err e;
	FILE *file = tmpfile();
	const int fd = fileno(file);
	static const char zeroes[2 * TAR_BLOCK];

	tar_xattr(&xattrs, "user.x", "1", 1);
	tar_header(&tar, &(struct tar_member){.name = "f",
					      .type = TAR_FILE,
					      .mode = 04711,
					      .uid = 5000000,
					      .gid = 7,
					      .size = 3,
					      .mtime = -3,
					      .nsec = 5,
					      .records = &xattrs});
	put_contents(&tar, "abc", 3);
	tar_header(&tar, &(struct tar_member){.name = "dev/tty",
					      .type = TAR_CHAR,
					      .mode = 0620,
					      .major = 5,
					      .minor = 3});
	tar_header(&tar, &(struct tar_member){.name = "fifo", .type = TAR_FIFO});
	put_file(fd, &tar);
	rootfs_init(&r);
	tap_ok(rootfs_add_tar(&r, fd, tar.len, "tar", &e) < 0,
	       "a tar without its end is an error");
	rootfs_release(&r);

	buf_clear(&xattrs);
	buf_add(&xattrs, zeroes, sizeof zeroes);
	put_file(fd, &xattrs);
	tar.len += sizeof zeroes;
	rootfs_init(&r);
	tap_int(rootfs_add_tar(&r, fd, tar.len, "tar", &e), 0, "a complete tar");
	const struct rootfs_inode *f = rootfs_inode(&r, rootfs_find(&r, "f"));
	const struct rootfs_common *common = rootfs_common(&r, f);
	off_t at;
	tap_int(common->mode, S_IFREG | 04711, "type and mode of a file");
	tap_ok(common->uid == 5000000 && common->gid == 7, "its owner");
	tap_ok(common->mtime == -3 && common->nsec == 5, "its time");
	tap_ok(f->size == 3 && rootfs_open(&r, f, &at) == fd && at == 3 * TAR_BLOCK,
	       "where its contents are");
	tap_ok(common->xattrs_len == 25 && memcmp(r.text.data + common->xattrs,
						  "25 SCHILY.xattr.user.x=1\n", 25) == 0,
	       "its attributes");
	f = rootfs_inode(&r, rootfs_find(&r, "dev/tty"));
	tap_ok(rootfs_common(&r, f)->mode == (S_IFCHR | 0620) && f->major == 5 &&
		   f->minor == 3,
	       "a device");
	tap_int(rootfs_mode(&r, rootfs_find(&r, "fifo")), S_IFIFO, "a FIFO");
	common = rootfs_common(&r, rootfs_inode(&r, rootfs_find(&r, "dev")));
	tap_ok(common->mode == (S_IFDIR | 0755) && common->uid == 0 && common->gid == 0 &&
		   common->mtime == 0,
	       "an implied directory");
	rootfs_release(&r);
	fclose(file);

	file = tmpfile();
	buf_clear(&tar);
	put_members(&tar, "d/ d/.wh.a:");
	buf_add(&tar, zeroes, sizeof zeroes);
	put_file(fileno(file), &tar);
	rootfs_init(&r);
	tap_ok(rootfs_add_tar(&r, fileno(file), tar.len, "tar", &e) < 0,
	       "a tar with a whiteout is an error");
	tap_is(e.text, "tar: 'd/.wh.a' is a whiteout: this is a layer, not a rootfs",
	       "which is said");
	rootfs_release(&r);
	fclose(file);
	buf_release(&tar);
	buf_release(&xattrs);
}

/* The tree without two paths is `want` after it was written and read again. */
static void writes(struct rootfs *r, const char *left, const char *out, const char *want)
{
	struct buf shown = {0};
	struct rootfs again;
	struct err e;
	struct sink s;
	FILE *tar = tmpfile();

	rootfs_sort(r);
	bool *wanted = malloc(r->n * sizeof *wanted);
	for (size_t i = 0; i < r->n; i++)
		wanted[i] = true;
	wanted[rootfs_find(r, left)] = wanted[rootfs_find(r, out)] = false;
	sink_init(&s, fileno(tar));
	rootfs_write(r, wanted, &s);
	sink_zeroes(&s, tar_end(s.total, TAR_BLOCK));
	sink_end(&s);
	rootfs_init(&again);
	tap_int(rootfs_add_tar(&again, fileno(tar), s.total, "tar", &e), 0,
		"is read again");
	show(&again, &shown);
	tap_is(
	    shown.data, want,
	    "without the files that are left out, but with the contents of their links");
	sink_release(&s);
	free(wanted);
	buf_release(&shown);
	rootfs_release(&again);
	fclose(tar);
}

/* --- files of this machine --- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || io_write(fd, text, strlen(text)) < 0 || close(fd) < 0)
		abort();
}

/* Adds the directory, changes its file in the way that `how` names, and reads it. */
static void read_changed(const char *how)
{
	struct rootfs r;
	struct err e;
	struct buf out = {0};

	rootfs_init(&r);
	if (rootfs_add_disk(&r, "d", "d", &e) < 0)
		abort();
	if (strcmp(how, "longer") == 0)
		write_file("d/.wh.a", "longer");
	else if (strcmp(how, "same length") == 0)
		write_file("d/.wh.a", "2");
	else
		unlink("d/.wh.a");
	show(&r, &out);
}

static void add_missing(const char *path)
{
	struct rootfs r;
	struct err e;

	rootfs_init(&r);
	rootfs_add_disk(&r, path, "x", &e);
}

static void test_disk(void)
{
	char dir[] = "/tmp/dt-rootfs.XXXXXX";
	struct buf out = {0};
	struct rootfs r;
	struct err e;
	const struct timespec times[] = {{.tv_sec = 5}, {-2, 250000000}};
	int back = open(".", O_RDONLY | O_DIRECTORY);

	if (mkdtemp(dir) == NULL || chdir(dir) < 0 || mkdir("d", 0700) < 0 ||
	    mkdir("d/e", 0700) < 0)
		abort();
	write_file("d/.wh.a", "1");
	write_file("f", "over");
	if (link("d/.wh.a", "d/e/b") < 0 || symlink("e", "d/l") < 0 ||
	    mkfifo("d/fifo", 0640) < 0 || utimensat(AT_FDCWD, "d/.wh.a", times, 0) < 0)
		abort();
	rootfs_init(&r);
	tap_ok(rootfs_add_disk(&r, "d", "at/d", &e) == 0, "a directory of this machine");
	tap_ok(rootfs_add_disk(&r, "f", "at/d/fifo", &e) == 0, "a file over it");
	tap_ok(rootfs_add_disk(&r, "d", "/more/.", &e) == 0, "the directory again");
	tap_ok(rootfs_add_disk(&r, "d/e", "", &e) == 0, "a directory as the root");
	tap_ok(rootfs_add_empty(&r, "/x/y", S_IFREG | 0644, &e) == 0, "an empty file");
	show(&r, &out);
	tap_is(
	    out.data,
	    "at/~ at/d/ at/d/.wh.a:1#2 at/d/e/ at/d/e/b:1#2 at/d/fifo:over at/d/l@e b:1 "
	    "more/ more/.wh.a:1#2 more/e/ more/e/b:1#2 more/fifo more/l@e x/~ x/y:",
	    "a tree of both: names that are whiteouts in layers, hard links");
	const struct rootfs_inode *inode = rootfs_inode(&r, rootfs_find(&r, "more/e/b"));
	const struct rootfs_common *common = rootfs_common(&r, inode);
	tap_ok(common->mtime == -2 && common->nsec == 250000000 &&
		   common->uid == geteuid(),
	       "time and owner");
	writes(&r, "at/d/.wh.a", "more/.wh.a",
	       "at/~ at/d/ at/d/e/ at/d/e/b:1 at/d/fifo:over at/d/l@e b:1 more/ more/e/ "
	       "more/e/b:1 more/fifo more/l@e x/~ x/y:");
	rootfs_release(&r);
	buf_release(&out);

	tap_dies(1, read_changed, "longer", "a file that grows ends the process");
	write_file("d/.wh.a", "1");
	if (utimensat(AT_FDCWD, "d/.wh.a", times, 0) < 0)
		abort();
	tap_dies(1, read_changed, "same length", "so does one with other contents");
	tap_dies(1, read_changed, "removed", "and one that is removed");
	tap_dies(1, add_missing, "none", "and a directory that is not there");
	unlink("d/e/b");
	unlink("d/l");
	unlink("d/fifo");
	unlink("f");
	rmdir("d/e");
	tap_ok(rmdir("d") == 0 && rmdir(dir) == 0 && fchdir(back) == 0,
	       "nothing is left");
	close(back);
}

static void test_write(void)
{
	static const char *const layers[] = {"a/ a/b:one l@a/b h=a/b z/ z/y/ z/y/x:two",
					     "k=a/b e:", NULL};
	struct rootfs r;
	struct err e;
	FILE *file = tmpfile();

	tap_int(build(&r, fileno(file), layers, &e), 0, "a tree to write");
	writes(&r, "a/b", "z/y/x", "a/ e: h:one#2 k:one#2 l@a/b z/ z/y/");
	rootfs_release(&r);
	fclose(file);
}

/* Files that have owner, mode and time in common share them. */
static void test_common(void)
{
	struct buf tar = {0}, xattrs = {0};
	struct rootfs r;
	struct err e;
	FILE *file = tmpfile();
	char name[32];
	bool is_equal = true;

	tar_xattr(&xattrs, "user.x", "1", 1);
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "f%u", i);
		tar_header(&tar,
			   &(struct tar_member){.name = name,
						.type = TAR_FILE,
						.mode = ENTRY,
						.uid = i % 2,
						.mtime = i % 500,
						.records = i % 3 == 0 ? &xattrs : NULL});
	}
	put_file(fileno(file), &tar);
	rootfs_init(&r);
	tap_int(rootfs_add_layer(&r, fileno(file), 0, tar.len, "layer", &e), 0,
		"3000 files of 1000 kinds");
	/* 500 times, each with and without attributes; and the root. */
	tap_int((long long)r.n_common, 500 * 2 + 1, "share what they have in common");
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "f%u", i);
		const struct rootfs_common *common =
		    rootfs_common(&r, rootfs_inode(&r, rootfs_find(&r, name)));
		is_equal = is_equal && common->uid == i % 2 && common->mtime == i % 500 &&
			   (common->xattrs_len > 0) == (i % 3 == 0);
	}
	tap_ok(is_equal, "and each has its own");
	rootfs_release(&r);
	buf_release(&tar);
	buf_release(&xattrs);
	fclose(file);
}

static void test_layers_max(void)
{
	struct rootfs r;
	struct err e;
	int n = 0;

	rootfs_init(&r);
	while (n < 70000 && rootfs_add_empty(&r, "f", S_IFREG | 0644, &e) == 0)
		n++;
	tap_int(n, 65535, "the largest number of layers");
	tap_is(e.text, "the tree: more than 65535 layers", "one more is an error");
	rootfs_release(&r);
}

/* More nodes than the hash table starts with. */
static void test_many(void)
{
	struct buf words = {0};
	struct rootfs r;
	struct err e;
	FILE *file = tmpfile();
	char name[32];
	bool found = true;

	for (int i = 0; i < 3000; i++)
		buf_addf(&words, "%sd%d/f%d:%d", i > 0 ? " " : "", i % 7, i, i);
	const char *const layers[] = {words.data, "d0/.wh.f7: .wh.d1:", NULL};
	tap_int(build(&r, fileno(file), layers, &e), 0, "3000 files");
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "d%d/f%d", i % 7, i);
		uint32_t node = rootfs_find(&r, name);
		found = found && (node == ROOTFS_NONE) == (i == 7 || i % 7 == 1);
	}
	tap_ok(found, "are found, except the hidden ones");
	rootfs_sort(&r);
	/* 3000 files without f7 and the 429 of d1; 6 directories and the root. */
	tap_int((long long)r.n_sorted, 3000 - 1 - 429 + 6 + 1, "and listed");
	rootfs_release(&r);
	buf_release(&words);
	fclose(file);
}

int main(void)
{
	err_init("rootfs");
	test_layers();
	test_types();
	test_whiteouts();
	test_opaque();
	test_hardlinks();
	test_names();
	test_find();
	test_tar();
	test_disk();
	test_write();
	test_common();
	test_layers_max();
	test_many();
	return tap_done();
}
