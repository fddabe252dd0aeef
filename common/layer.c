#include "layer.h"

#include "cache.h"
#include "err.h"
#include "io.h"
#include "mem.h"
#include "num.h"
#include "relay.h"
#include "tar.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

enum {
	BLOCK =
	    64 * 1024, /* what is hashed or written at a time: it stays in the cache */
	HEADER_ROOM = 4096,   /* a header may fill a block and some more */
	RELAY_FROM = 4 << 20, /* smaller layers are not worth a thread */
	PIECES = 32,
	MAP_SIZE = 4 << 20,     /* what is mapped of a file at a time */
	ZERO_COPY_FROM = BLOCK, /* smaller files are cheaper to read than to splice */
};

struct layer_part *layer_add(struct layer *l)
{
	l->part = mem_grow(l->part, &l->cap, l->n + 1, sizeof *l->part);
	l->part[l->n] = (struct layer_part){0};
	return &l->part[l->n++];
}

void layer_release(struct layer *l)
{
	for (size_t i = 0; i < l->n; i++) {
		tree_release(&l->part[i].tree);
		free(l->part[i].prefix);
	}
	free(l->part);
	free(l->parents);
	*l = (struct layer){0};
}

/*
 * A piece of a layer: bytes, and behind them the contents of a file, if `fd` is not -1,
 * which are left to the one who writes the piece.
 */
struct piece {
	struct buf bytes;
	int fd;
	const struct tree *tree;
	uint32_t entry;
};

/* Where the pieces of a layer go: into a digest, or, if `fd` is not -1, into a file. */
struct sink {
	int fd;
	struct digest digest;
	uint64_t total;      /* bytes of the layer so far */
	struct piece *piece; /* the one that is being made */
	struct piece own;    /* without a relay, always the same one */
	struct relay *relay; /* to the thread that hashes or writes, or NULL */
};

static void piece_init(struct piece *p)
{
	p->fd = -1;
	buf_reserve(&p->bytes, BLOCK + HEADER_ROOM);
}

static void sink_init(struct sink *s, int fd)
{
	*s = (struct sink){.fd = fd};
	if (fd < 0)
		digest_init(&s->digest);
	piece_init(&s->own);
	s->piece = &s->own;
}

static void sink_release(struct sink *s)
{
	if (s->fd < 0)
		digest_release(&s->digest);
	buf_release(&s->own.bytes);
}

/* What may not change while a file is read. The store's optimiser may change the rest. */
static void check_unchanged(const struct tree *t, uint32_t i, int fd, uint64_t got)
{
	const struct tree_entry *e = &t->entry[i];
	struct buf path = {0};
	struct stat st;

	bool same =
	    got == e->size && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (uint64_t)st.st_size == e->size &&
	    (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec == e->mtime;
	if (same)
		return;
	tree_location(t, i, &path);
	die("%s: changed while it was read", path.data);
}

_Noreturn static void unreadable(const struct tree *t, uint32_t i)
{
	struct buf path = {0};
	int reason = errno;

	tree_location(t, i, &path);
	errno = reason;
	die_errno("%s", path.data);
}

/*
 * The file that a thread has mapped. If it shrinks, reading it raises SIGBUS, here in
 * the midst of hashing and of nothing else, so that the handler may call anything.
 */
static _Thread_local const char *mapped_path;

static void on_bus_error(int signal)
{
	(void)signal;
	die("%s: changed while it was read",
	    mapped_path != NULL ? mapped_path : "SIGBUS");
}

/* Hashes the contents where they are, in the page cache. Returns how many bytes. */
static uint64_t digest_mapped(struct sink *s, const struct piece *p, uint64_t size)
{
	struct buf path = {0};
	uint64_t done = 0;

	tree_location(p->tree, p->entry, &path);
	mapped_path = path.data;
	while (done < size) {
		size_t len = size - done < MAP_SIZE ? (size_t)(size - done) : MAP_SIZE;
		void *data = mmap(NULL, len, PROT_READ, MAP_SHARED | MAP_POPULATE, p->fd,
				  (off_t)done);
		if (data == MAP_FAILED)
			die_errno("%s", path.data);
		digest_update(&s->digest, data, len);
		munmap(data, len);
		done += len;
	}
	mapped_path = NULL;
	buf_release(&path);
	return done;
}

/* The same by reading, for files with holes: to map those on tmpfs would fill them. */
static uint64_t digest_read(struct sink *s, const struct piece *p, uint64_t size)
{
	char *block = mem_zero(BLOCK, 1);
	uint64_t done = 0;

	while (done < size) {
		size_t want = size - done < BLOCK ? (size_t)(size - done) : BLOCK;
		ssize_t n = io_read(p->fd, block, want);
		if (n < 0)
			unreadable(p->tree, p->entry);
		if (n == 0)
			break;
		digest_update(&s->digest, block, (size_t)n);
		done += (uint64_t)n;
	}
	free(block);
	return done;
}

static uint64_t digest_file(struct sink *s, const struct piece *p, uint64_t size)
{
	struct stat st;
	bool has_holes = fstat(p->fd, &st) < 0 || (uint64_t)st.st_blocks * 512 < size;

	return has_holes ? digest_read(s, p, size) : digest_mapped(s, p, size);
}

static uint64_t write_file(struct sink *s, const struct piece *p, uint64_t size)
{
	int64_t n = io_copy(p->fd, NULL, s->fd, size);

	if (n < 0 && errno == EIO)
		unreadable(p->tree, p->entry);
	if (n < 0)
		die_errno("standard output");
	return (uint64_t)n;
}

/* Hashes or writes a piece, and empties it. */
static void sink_consume(struct sink *s, struct piece *p)
{
	if (s->fd < 0)
		digest_update(&s->digest, p->bytes.data, p->bytes.len);
	else if (io_write(s->fd, p->bytes.data, p->bytes.len) < 0)
		die_errno("standard output");
	buf_clear(&p->bytes);
	if (p->fd < 0)
		return;
	uint64_t size = p->tree->entry[p->entry].size;
	uint64_t done = s->fd < 0 ? digest_file(s, p, size) : write_file(s, p, size);
	check_unchanged(p->tree, p->entry, p->fd, done);
	close(p->fd);
	p->fd = -1;
}

/* Lets go of the piece that was made and starts the next one. */
static void sink_flush(struct sink *s)
{
	if (s->relay == NULL) {
		sink_consume(s, s->piece);
	} else {
		relay_pass(s->relay);
		s->piece = relay_fill(s->relay);
	}
}

/* Counts what was put into the piece since it was `before` bytes long. */
static void sink_added(struct sink *s, size_t before)
{
	s->total += s->piece->bytes.len - before;
	if (s->piece->bytes.len >= BLOCK)
		sink_flush(s);
}

static void sink_zeroes(struct sink *s, size_t n)
{
	size_t before = s->piece->bytes.len;

	memset(buf_reserve(&s->piece->bytes, n), 0, n);
	s->piece->bytes.len += n;
	sink_added(s, before);
}

/* Reads the file into pieces. */
static uint64_t sink_read(struct sink *s, int fd, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		struct buf *bytes = &s->piece->bytes;
		size_t room = BLOCK - bytes->len, before = bytes->len;
		size_t want = size - done < room ? (size_t)(size - done) : room;
		ssize_t n = io_read(fd, buf_reserve(bytes, want), want);
		if (n <= 0)
			break;
		bytes->len += (size_t)n;
		done += (uint64_t)n;
		sink_added(s, before);
	}
	return done;
}

static void sink_file(struct sink *s, struct tree_reader *r, const struct tree *t,
		      uint32_t i)
{
	uint64_t size = t->entry[i].size;

	if (size == 0)
		return;
	int fd = tree_open(r, t, i);
	if (fd < 0)
		unreadable(t, i);
	if (size >= ZERO_COPY_FROM) {
		check_unchanged(t, i, fd, size);
		s->piece->fd = fd;
		s->piece->tree = t;
		s->piece->entry = i;
		s->total += size;
		sink_flush(s);
	} else {
		uint64_t done = sink_read(s, fd, size);
		check_unchanged(t, i, fd, done);
		close(fd);
	}
	sink_zeroes(s, tar_padding(size));
}

/* Completes the member with the layer's style and adds its header. */
static void sink_header(struct sink *s, const struct layer_style *style,
			struct tar_member *m)
{
	size_t before = s->piece->bytes.len;

	m->uid = style->uid;
	m->gid = style->gid;
	m->uname = style->uname;
	m->gname = style->gname;
	m->mtime = style->mtime;
	tar_header(&s->piece->bytes, m);
	sink_added(s, before);
}

/* The members that stand for "/nix" and "/nix/store". */
static void emit_parents(const struct layer *l, struct sink *s)
{
	char *dir = mem_strdup(l->parents);

	for (char *end = dir; end != NULL;) {
		struct tar_member m = {.name = dir, .type = TAR_FOLDER, .mode = 0755};
		end = strchr(end + 1, '/');
		if (end != NULL)
			*end = '\0';
		sink_header(s, l->style, &m);
		if (end != NULL)
			*end = '/';
	}
	free(dir);
}

static enum tar_type type_of(const struct tree_entry *e)
{
	switch (e->mode & S_IFMT) {
	case S_IFDIR:
		return TAR_FOLDER;
	case S_IFLNK:
		return TAR_SYMLINK;
	case S_IFCHR:
		return TAR_CHAR;
	case S_IFBLK:
		return TAR_BLOCK_DEVICE;
	case S_IFIFO:
		return TAR_FIFO;
	default:
		return TAR_FILE;
	}
}

static void emit_entry(const struct layer *l, const struct layer_part *part, uint32_t i,
		       struct sink *s, struct tree_reader *r, struct buf *name)
{
	const struct tree *t = &part->tree;
	const struct tree_entry *e = &t->entry[i];
	struct tar_member m = {
	    .type = type_of(e),
	    .mode = e->mode,
	    .size = e->size,
	};

	buf_clear(name);
	if (part->prefix != NULL)
		buf_addstr(name, part->prefix);
	if (part->prefix != NULL && e->parent != TREE_END)
		buf_addch(name, '/');
	tree_path(t, i, name);
	m.name = name->data;
	if (m.type == TAR_SYMLINK)
		m.link = t->names.data + e->link;
	if (m.type == TAR_CHAR || m.type == TAR_BLOCK_DEVICE) {
		m.major = major(e->size);
		m.minor = minor(e->size);
	}
	sink_header(s, l->style, &m);
	if (m.type == TAR_FILE)
		sink_file(s, r, t, i);
}

/* Sends the whole layer tar into the sink. */
static void emit(const struct layer *l, struct sink *s)
{
	struct tree_reader r;
	struct buf name = {0};

	if (l->parents != NULL)
		emit_parents(l, s);
	for (size_t k = 0; k < l->n; k++) {
		const struct layer_part *part = &l->part[k];
		tree_reader_init(&r);
		uint32_t i = 0;
		if (part->prefix == NULL)
			i = tree_next(&part->tree, 0);
		for (; i != TREE_END; i = tree_next(&part->tree, i))
			emit_entry(l, part, i, s, &r, &name);
		tree_reader_release(&r);
	}
	sink_zeroes(s, tar_end(s->total, TAR_RECORD));
	sink_flush(s);
	buf_release(&name);
}

/* A layer on its way into a sink, for the thread that makes the pieces. */
struct emission {
	const struct layer *layer;
	struct sink *sink;
};

static void *make_pieces(void *arg)
{
	struct emission *e = arg;

	e->sink->piece = relay_fill(e->sink->relay);
	emit(e->layer, e->sink);
	relay_end(e->sink->relay);
	return NULL;
}

/*
 * Sends the whole layer into the sink, files of a large one being read in a thread of
 * their own, while this one hashes or writes.
 */
static void send(const struct layer *l, struct sink *s)
{
	static const struct sigaction handler = {.sa_handler = on_bus_error};
	struct emission e = {l, s};
	pthread_t thread;
	uint64_t bytes = 0;
	struct piece *p;

	sigaction(SIGBUS, &handler, NULL);
	for (size_t k = 0; k < l->n; k++)
		bytes += l->part[k].tree.bytes;
	if (bytes < RELAY_FROM) {
		emit(l, s);
		return;
	}
	s->relay = relay_new(PIECES, sizeof *p);
	for (size_t i = 0; i < PIECES; i++)
		piece_init(relay_slot(s->relay, i));
	if (pthread_create(&thread, NULL, make_pieces, &e) != 0)
		die("cannot start a thread");
	while ((p = relay_take(s->relay)) != NULL) {
		sink_consume(s, p);
		relay_return(s->relay);
	}
	pthread_join(thread, NULL);
	for (size_t i = 0; i < PIECES; i++)
		buf_release(&((struct piece *)relay_slot(s->relay, i))->bytes);
	relay_release(s->relay);
}

/* A file that was changed just now could change again without its times telling. */
static bool is_settled(const struct layer *l)
{
	const int64_t tick =
	    100000000; /* more than any clock the kernel stamps files by */
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	int64_t now = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	for (size_t k = 0; k < l->n; k++)
		if (l->part[k].tree.newest + tick > now)
			return false;
	return true;
}

static void digest_text(struct digest *d, const char *s)
{
	digest_update(d, s, strlen(s) + 1);
}

static void digest_number(struct digest *d, uint64_t n)
{
	digest_update(d, &n, sizeof n);
}

static void digest_tree(struct digest *d, const struct tree *t)
{
	for (uint32_t i = 0; i != TREE_END; i = tree_next(t, i)) {
		const struct tree_entry *e = &t->entry[i];
		const uint64_t facts[] = {e->size, (uint64_t)e->mtime, e->stamp, e->mode,
					  e->parent};
		digest_update(d, facts, sizeof facts);
		digest_text(d, t->names.data + e->name);
		digest_text(d, t->names.data + e->link);
	}
}

/* All that a layer's bytes depend on, and how to tell that a file is still the same. */
static void layer_key(const struct layer *l, char key[DIGEST_HEX + 1])
{
	struct digest d;

	digest_init(&d);
	digest_number(&d, (uint64_t)l->style->mtime);
	digest_number(&d, l->style->uid);
	digest_number(&d, l->style->gid);
	digest_text(&d, l->style->uname);
	digest_text(&d, l->style->gname);
	digest_text(&d, l->parents != NULL ? l->parents : "");
	for (size_t k = 0; k < l->n; k++) {
		digest_text(&d, l->part[k].prefix != NULL ? l->part[k].prefix : "");
		digest_tree(&d, &l->part[k].tree);
	}
	digest_hex(&d, key);
	digest_release(&d);
}

/* The fact that the cache keeps: "DIFF_ID SIZE". */
static bool parse_fact(struct layer *l, const struct buf *fact)
{
	if (fact->len < DIGEST_HEX + 2 || fact->data[DIGEST_HEX] != ' ')
		return false;
	memcpy(l->diff_id, fact->data, DIGEST_HEX);
	l->diff_id[DIGEST_HEX] = '\0';
	return digest_is_hex(l->diff_id) &&
	       num_parse(fact->data + DIGEST_HEX + 1, fact->len - DIGEST_HEX - 1,
			 INT64_MAX, &l->size) == 0;
}

void layer_measure(struct layer *l, const struct cache *cache)
{
	static const char kind[] = "layer-1";
	char key[DIGEST_HEX + 1];
	struct buf fact = {0};
	struct sink s;

	layer_key(l, key);
	if (!cache_get(cache, kind, key, &fact) || !parse_fact(l, &fact)) {
		bool settled = is_settled(l);
		sink_init(&s, -1);
		send(l, &s);
		digest_hex(&s.digest, l->diff_id);
		l->size = s.total;
		sink_release(&s);
		buf_clear(&fact);
		buf_addf(&fact, "%s %" PRIu64, l->diff_id, l->size);
		if (settled)
			cache_put(cache, kind, key, fact.data, fact.len);
	}
	buf_release(&fact);
}

void layer_write(const struct layer *l, int fd)
{
	struct sink s;

	sink_init(&s, fd);
	send(l, &s);
	if (l->diff_id[0] != '\0' && s.total != l->size)
		die("a layer has %" PRIu64 " bytes, and had %" PRIu64
		    " when it was measured",
		    s.total, l->size);
	sink_release(&s);
}
