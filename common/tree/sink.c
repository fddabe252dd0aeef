#include "tree/sink.h"

#include "archive/tar.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/ring.h"
#include "tree/record.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	/* bytes hashed or written at a time; these fit into the processor's cache */
	BLOCK = 64 * 1024,
	HEADER_ROOM = 4096, /* the headers of the last member may exceed BLOCK */
	PIECES = 32,        /* pieces that the reading thread may be ahead */
	SLICE = 32 << 20,   /* bytes of a file until they are counted */
};

static void init_piece(struct sink_piece *p)
{
	p->fd = -1;
	buf_reserve(&p->bytes, BLOCK + HEADER_ROOM);
}

void sink_init(struct sink *s, int fd)
{
	*s = (struct sink){.fd = fd};
	if (fd < 0)
		digest_init(&s->digest);
	init_piece(&s->own);
	s->piece = &s->own;
}

void sink_release(struct sink *s)
{
	if (s->fd < 0)
		digest_release(&s->digest);
	buf_release(&s->own.bytes);
}

/* Shows that these bytes were hashed or written. */
static void show(const struct sink *s, uint64_t bytes)
{
	progress_add(s->task, s->fd < 0 ? SINK_HASH : SINK_WRITE, bytes);
}

static uint64_t hash_file(struct sink *s, const struct sink_piece *p, off_t at,
			  uint64_t size)
{
	int64_t n = digest_add_file(&s->digest, p->fd, at, size);

	if (n < 0)
		tree_unreadable(p->file.tree, p->file.entry);
	return (uint64_t)n;
}

static uint64_t write_file(struct sink *s, const struct sink_piece *p, off_t at,
			   uint64_t size)
{
	int64_t n = io_copy(p->fd, &at, s->fd, size);

	if (n < 0 && errno == EIO)
		tree_unreadable(p->file.tree, p->file.entry);
	if (n < 0)
		die_errno("%s", io_output());
	return (uint64_t)n;
}

/* Hashes or writes the file of a piece. Returns the number of its bytes. */
static uint64_t consume_file(struct sink *s, const struct sink_piece *p, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		uint64_t want = size - done < SLICE ? size - done : SLICE;
		off_t at = p->offset + (off_t)done;
		uint64_t n =
		    s->fd < 0 ? hash_file(s, p, at, want) : write_file(s, p, at, want);
		done += n;
		show(s, n);
		if (n < want)
			break;
	}
	return done;
}

static void write_bytes(const struct sink *s, const void *data, size_t len)
{
	if (io_write(s->fd, data, len) < 0)
		die_errno("%s", io_output());
	show(s, len);
}

/* Hashes or writes the bytes of a piece, and clears them. */
static void consume_bytes(struct sink *s, struct sink_piece *p)
{
	if (s->fd < 0) {
		digest_update(&s->digest, p->bytes.data, p->bytes.len);
		show(s, p->bytes.len);
	} else {
		write_bytes(s, p->bytes.data, p->bytes.len);
	}
	if (s->record != NULL)
		record_bytes(s->record, p->bytes.data, p->bytes.len);
	buf_clear(&p->bytes);
}

/* Does the same with the bytes and the file of a piece. */
static void consume(struct sink *s, struct sink_piece *p)
{
	consume_bytes(s, p);
	if (p->fd >= 0) {
		uint64_t size = p->file.tree->entry[p->file.entry].size;
		uint64_t done = consume_file(s, p, size);
		if (tree_is_touched(p->file.tree, p->file.entry, p->fd, done))
			p->touched = p->file;
		if (s->record != NULL)
			record_file(s->record, p->file.tree, p->file.entry);
		close(p->fd);
		p->fd = -1;
	}
	if (p->touched.tree != NULL)
		s->touched = p->touched;
	p->touched = (struct sink_entry){0};
}

/* Passes the filled piece on and starts the next piece. */
static void flush(struct sink *s)
{
	if (s->ring == NULL) {
		consume(s, s->piece);
	} else {
		ring_pass(s->ring);
		s->piece = ring_fill(s->ring);
	}
}

/* Counts the bytes that were added since the piece had `before` bytes. */
static void count_added(struct sink *s, size_t before)
{
	s->total += s->piece->bytes.len - before;
	if (s->piece->bytes.len >= BLOCK)
		flush(s);
}

void sink_zeroes(struct sink *s, size_t n)
{
	size_t before = s->piece->bytes.len;

	memset(buf_reserve(&s->piece->bytes, n), 0, n);
	s->piece->bytes.len += n;
	count_added(s, before);
}

/* Reads the span into pieces. Returns the number of bytes. */
static uint64_t read_span(struct sink *s, int fd, off_t offset, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		struct buf *bytes = &s->piece->bytes;
		size_t room = BLOCK - bytes->len, before = bytes->len;
		size_t want = size - done < room ? (size_t)(size - done) : room;
		ssize_t n =
		    io_pread(fd, buf_reserve(bytes, want), want, offset + (off_t)done);
		if (n <= 0)
			break;
		bytes->len += (size_t)n;
		done += (uint64_t)n;
		count_added(s, before);
	}
	return done;
}

/* Opens the file, which ends the piece that is being filled if it is large. */
static int open_file(struct sink *s, struct tree_reader *r, struct sink_entry file,
		     off_t *offset)
{
	uint64_t size = file.tree->entry[file.entry].size;
	int fd = tree_open(r, file.tree, file.entry, offset);

	if (fd < 0)
		tree_unreadable(file.tree, file.entry);
	if (tree_is_touched(file.tree, file.entry, fd, size))
		s->piece->touched = file;
	if (size >= SINK_LARGE) {
		s->piece->fd = fd;
		s->piece->offset = *offset;
		s->piece->file = file;
		s->total += size;
		flush(s);
	}
	return fd;
}

void sink_file(struct sink *s, struct tree_reader *r, const struct tree *t, uint32_t i)
{
	const struct sink_entry file = {t, i};
	uint64_t size = t->entry[i].size;

	if (size == 0)
		return;
	off_t offset;
	int fd = open_file(s, r, file, &offset);
	if (size < SINK_LARGE) {
		uint64_t done = read_span(s, fd, offset, size);
		if (tree_is_touched(t, i, fd, done))
			s->piece->touched = file;
		close(fd);
	}
	sink_zeroes(s, tar_padding(size));
}

void sink_span(struct sink *s, int fd, off_t offset, uint64_t size, const char *name)
{
	int64_t done;

	if (size >= SINK_LARGE && s->fd >= 0) {
		consume_bytes(s, s->piece);
		done = io_copy(fd, &offset, s->fd, size);
		if (done > 0)
			s->total += (uint64_t)done;
	} else {
		done = (int64_t)read_span(s, fd, offset, size);
	}
	if (done < 0)
		die_errno("%s", io_output());
	if ((uint64_t)done != size)
		die("%s: truncated", name);
	sink_zeroes(s, tar_padding(size));
}

void sink_replay(struct sink *s, const struct record *r)
{
	struct tree_reader reader;
	size_t done = 0;
	off_t offset;

	tree_reader_init(&reader);
	for (size_t i = 0; i < r->n; i++) {
		const struct record_file *f = &r->file[i];
		write_bytes(s, r->bytes.data + done, f->at - done);
		done = f->at;
		if (i > 0 && f->tree != r->file[i - 1].tree)
			tree_reader_release(&reader); /* it keeps a directory of a tree */
		open_file(s, &reader, (struct sink_entry){f->tree, f->entry}, &offset);
	}
	tree_reader_release(&reader);
	write_bytes(s, r->bytes.data + done, r->bytes.len - done);
	s->total += r->bytes.len;
}

void sink_header(struct sink *s, const struct tar_member *m)
{
	size_t before = s->piece->bytes.len;

	tar_header(&s->piece->bytes, m);
	count_added(s, before);
}

void sink_end(struct sink *s)
{
	flush(s);
}

/* The arguments of the thread that fills the pieces. */
struct production {
	struct sink *sink;
	void (*produce)(void *arg, struct sink *s);
	void *arg;
};

static void *make_pieces(void *arg)
{
	struct production *p = arg;

	p->sink->piece = ring_fill(p->sink->ring);
	p->produce(p->arg, p->sink);
	flush(p->sink);
	ring_end(p->sink->ring);
	return NULL;
}

void sink_run(struct sink *s, void (*produce)(void *arg, struct sink *s), void *arg,
	      bool in_thread)
{
	struct production production = {s, produce, arg};
	pthread_t thread;
	struct sink_piece *p;

	if (!in_thread) {
		produce(arg, s);
		flush(s);
		return;
	}
	s->ring = ring_new(PIECES, sizeof *p);
	for (size_t i = 0; i < PIECES; i++)
		init_piece(ring_slot(s->ring, i));
	if (pthread_create(&thread, NULL, make_pieces, &production) != 0)
		die("cannot start a thread");
	while ((p = ring_take(s->ring)) != NULL) {
		consume(s, p);
		ring_return(s->ring);
	}
	pthread_join(thread, NULL);
	for (size_t i = 0; i < PIECES; i++)
		buf_release(&((struct sink_piece *)ring_slot(s->ring, i))->bytes);
	ring_release(s->ring);
	s->ring = NULL;
}
