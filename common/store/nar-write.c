#include "store/nar.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "tree/tree.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 64 * 1024 }; /* piece size; fits into the processor's cache */

/*
 * Links entries in the order of a NAR, which sorts names by bytes and so differs from the
 * order of a tree.
 */
struct link {
	uint32_t child; /* first entry of a directory, or TREE_END */
	uint32_t next;  /* next entry in the same directory, or TREE_END */
};

/* The state of nar_write(). */
struct out {
	const struct tree *t;
	struct link *link;
	struct tree_reader reader;
	struct buf block;
	void (*bytes)(void *arg, const void *data, size_t len);
	void *arg;
	uint32_t touched; /* a file with tree_is_touched(), or TREE_END */
};

static const char *name_of(const struct tree *t, uint32_t i)
{
	return t->names.data + t->entry[i].name;
}

static int compare_names(const void *a, const void *b, void *out)
{
	const struct tree *t = ((const struct out *)out)->t;
	const uint32_t *x = a, *y = b;

	return strcmp(name_of(t, *x), name_of(t, *y));
}

/* Links the entries of the directory in byte order of their names. */
static void link_directory(struct out *o, uint32_t directory)
{
	uint32_t first = o->t->entry[directory].first, n = o->t->entry[directory].count;
	uint32_t *child = mem_zero(n, sizeof *child), *to = &o->link[directory].child;

	for (uint32_t i = 0; i < n; i++)
		child[i] = first + i;
	if (n > 1)
		qsort_r(child, n, sizeof *child, compare_names, o);
	for (uint32_t i = 0; i < n; i++) {
		*to = child[i];
		to = &o->link[child[i]].next;
	}
	free(child);
}

static void link_tree(struct out *o)
{
	o->link = mem_zero(o->t->n, sizeof *o->link);
	for (uint32_t i = 0; i < o->t->n; i++)
		o->link[i] = (struct link){TREE_END, TREE_END};
	for (uint32_t i = 0; i < o->t->n; i++)
		if (S_ISDIR(o->t->entry[i].mode) && o->t->entry[i].count > 0)
			link_directory(o, i);
}

static void flush(struct out *o)
{
	if (o->block.len > 0)
		o->bytes(o->arg, o->block.data, o->block.len);
	buf_clear(&o->block);
}

static void put(struct out *o, const void *data, size_t len)
{
	buf_add(&o->block, data, len);
	if (o->block.len >= BLOCK)
		flush(o);
}

static void put_number(struct out *o, uint64_t n)
{
	uint64_t le = htole64(n);

	put(o, &le, sizeof le);
}

/* Adds the padding of a string of `len` bytes. */
static void put_padding(struct out *o, uint64_t len)
{
	static const char zeroes[8];

	put(o, zeroes, -len % 8);
}

static void put_string(struct out *o, const char *s)
{
	size_t len = strlen(s);

	put_number(o, len);
	put(o, s, len);
	put_padding(o, len);
}

/* Adds the contents of the file. Returns the number of bytes, at most its size. */
static uint64_t put_file(struct out *o, uint32_t i, int fd)
{
	uint64_t size = o->t->entry[i].size, done = 0;

	while (done < size) {
		size_t room = BLOCK - o->block.len;
		size_t want = size - done < room ? (size_t)(size - done) : room;
		ssize_t n = io_read(fd, buf_reserve(&o->block, want), want);
		if (n < 0)
			tree_unreadable(o->t, i);
		if (n == 0)
			break;
		o->block.len += (size_t)n;
		done += (uint64_t)n;
		if (o->block.len >= BLOCK)
			flush(o);
	}
	return done;
}

static void put_contents(struct out *o, uint32_t i)
{
	uint64_t size = o->t->entry[i].size;
	off_t offset; /* 0, because a store path is not in an archive */
	int fd = tree_open(&o->reader, o->t, i, &offset);

	if (fd < 0)
		tree_unreadable(o->t, i);
	put_string(o, "contents");
	put_number(o, size);
	uint64_t done = put_file(o, i, fd);
	if (tree_is_touched(o->t, i, fd, done))
		o->touched = i;
	close(fd);
	put_padding(o, size);
}

static void put_regular(struct out *o, uint32_t i)
{
	put_string(o, "regular");
	if (o->t->entry[i].mode & S_IXUSR) {
		put_string(o, "executable");
		put_string(o, "");
	}
	put_contents(o, i);
}

static void put_symlink(struct out *o, uint32_t i)
{
	put_string(o, "symlink");
	put_string(o, "target");
	put_string(o, o->t->names.data + o->t->entry[i].link);
}

/* Adds the part of an entry before its children. */
static void begin_entry(struct out *o, uint32_t i)
{
	const struct tree_entry *e = &o->t->entry[i];

	if (e->parent != TREE_END) {
		put_string(o, "entry");
		put_string(o, "(");
		put_string(o, "name");
		put_string(o, name_of(o->t, i));
		put_string(o, "node");
	}
	put_string(o, "(");
	put_string(o, "type");
	if (S_ISDIR(e->mode))
		put_string(o, "directory");
	else if (S_ISREG(e->mode))
		put_regular(o, i);
	else
		put_symlink(o, i);
}

static void end_entry(struct out *o, uint32_t i)
{
	put_string(o, ")");
	if (o->t->entry[i].parent != TREE_END)
		put_string(o, ")");
}

uint32_t nar_write(const struct tree *t,
		   void (*bytes)(void *arg, const void *data, size_t len), void *arg)
{
	struct out o = {.t = t, .bytes = bytes, .arg = arg, .touched = TREE_END};

	tree_reader_init(&o.reader);
	link_tree(&o);
	put_string(&o, "nix-archive-1");
	for (uint32_t i = 0; i != TREE_END;) {
		begin_entry(&o, i);
		uint32_t next = o.link[i].child;
		while (next == TREE_END && i != TREE_END) {
			end_entry(&o, i);
			next = o.link[i].next;
			i = t->entry[i].parent;
		}
		i = next;
	}
	flush(&o);
	tree_reader_release(&o.reader);
	buf_release(&o.block);
	free(o.link);
	return o.touched;
}
