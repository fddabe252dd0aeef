#include "store/operand.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/strset.h"
#include "store/graph.h"
#include "store/nar.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 256 << 10, LINKS_MAX = 40 };

/* Returns whether the first `len` bytes of a file name contain no "//", "." or "..". */
static bool is_straight(const char *name, size_t len)
{
	static const char *const detours[] = {"//", "/./", "/../"};

	for (size_t i = 0; i < sizeof detours / sizeof *detours; i++)
		if (memmem(name, len, detours[i], strlen(detours[i])) != NULL)
			return false;
	return true;
}

/*
 * Returns the store path at the start of the absolute `name`, with or without the store's
 * root before it.
 */
static const char *store_part(struct store *s, const char *name, size_t *len)
{
	size_t root = strlen(s->root);

	if (s->dir == NULL) {
		struct store its = {0};
		*len = store_adopt(&its, name, strlen(name));
		if (*len == 0 || !is_straight(name, *len)) {
			free(its.dir);
			return NULL;
		}
		s->dir = its.dir;
		return name;
	}
	*len = store_adopt(s, name, strlen(name));
	if (*len != 0)
		return name;
	if (root == 0 || strncmp(name, s->root, root) != 0)
		return NULL;
	*len = store_adopt(s, name + root, strlen(name + root));
	return *len != 0 ? name + root : NULL;
}

static bool climbs(const char *rest)
{
	for (const char *p = strstr(rest, "/.."); p != NULL; p = strstr(p + 1, "/.."))
		if (p[3] == '/' || p[3] == '\0')
			return true;
	return false;
}

static void replace(struct buf *b, size_t from, size_t to, const char *text, size_t len)
{
	struct buf new = {0};

	buf_add(&new, b->data, from);
	buf_add(&new, text, len);
	buf_add(&new, b->data + to, b->len - to);
	buf_release(b);
	*b = new;
}

/*
 * Resolves the next component of the absolute `name`. The first *at bytes contain no
 * symlink, "." or "..". Returns 1, 0 if there is no other component, or -1 with errno
 * set.
 */
static int resolve_next(struct buf *name, size_t *at, int *n_links)
{
	size_t start = *at + strspn(name->data + *at, "/");
	size_t len = strcspn(name->data + start, "/"), end = start + len;
	const char *component = name->data + start;
	char target[PATH_MAX];

	if (len == 0)
		return 0;
	if (len == 1 && *component == '.') {
		replace(name, *at, end, "", 0);
		return 1;
	}
	if (len == 2 && component[0] == '.' && component[1] == '.') {
		while (*at > 0 && name->data[--*at] != '/')
			;
		replace(name, *at, end, "", 0);
		return 1;
	}
	char behind = name->data[end];
	name->data[end] = '\0';
	ssize_t n = readlink(name->data, target, sizeof target);
	name->data[end] = behind;
	if (n < 0 && errno != EINVAL)
		return -1;
	if (n < 0) {
		*at = end;
		return 1;
	}
	if (++*n_links > LINKS_MAX || n == sizeof target) {
		errno = ELOOP;
		return -1;
	}
	if (*target == '/')
		*at = start = 0;
	replace(name, start, end, target, (size_t)n);
	return 1;
}

/*
 * Returns whether the operand has the form of a store path, even if the path does not
 * exist on this machine.
 */
static bool is_elsewhere(const char *operand)
{
	struct store any = {0};
	size_t len = store_adopt(&any, operand, strlen(operand));

	free(any.dir);
	return len != 0;
}

/*
 * Resolves symlinks one by one and stops as soon as the name is in the store. So a store
 * path that is itself a symlink is not followed.
 */
int operand_root(struct store *s, const char *operand, struct buf *path, struct err *e)
{
	struct buf name = {0};
	const char *part;
	size_t len, at = 0;
	int n_links = 0, result = 1;

	if (*operand == '\0')
		return err_set(e, "an empty file name");
	if (*operand != '/') {
		char *cwd = getcwd(NULL, 0);
		if (cwd == NULL)
			return err_set_errno(e, "%s", operand);
		buf_addf(&name, "%s/", cwd);
		free(cwd);
	}
	buf_addstr(&name, operand);
	while ((part = store_part(s, name.data, &len)) == NULL && result > 0)
		result = resolve_next(&name, &at, &n_links);
	if (part == NULL && result < 0 && !is_elsewhere(operand)) {
		err_set_errno(e, "%s", operand);
	} else if (part == NULL) {
		result = err_set(e, "%s: not in the store%s%s", operand,
				 s->dir != NULL ? " " : "", s->dir != NULL ? s->dir : "");
	} else if (climbs(part + len)) {
		result = err_set(e, "%s: points outside its store path", operand);
	} else {
		result = 0;
		buf_clear(path);
		buf_add(path, part, len);
	}
	buf_release(&name);
	return result;
}

/* A block of the text. Mentions from `limit` on are found in the next block. */
struct text_block {
	struct strset *bases;
	const char *limit;
};

static void on_mention(void *arg, const char *hash, size_t len)
{
	struct text_block *b = arg;

	if (hash < b->limit)
		strset_add(b->bases, hash, len);
}

/* Blocks overlap by more than the longest mention, so that no mention is split. */
int operand_mentions(const struct store *s, int fd, struct strset *bases, bool *empty)
{
	size_t overlap = strlen(s->dir) + 1 + STORE_NAME_MAX + 1, kept = 0;
	struct buf text = {0};
	char *data = buf_reserve(&text, BLOCK + overlap);
	ssize_t n;

	*empty = true;
	do {
		n = io_read(fd, data + kept, BLOCK);
		if (n < 0)
			break;
		size_t len = kept + (size_t)n;
		bool is_last = n < BLOCK;
		kept = is_last ? 0 : overlap;
		struct text_block block = {bases, data + len - kept + strlen(s->dir)};
		if (is_last)
			block.limit = data + len;
		store_mentions(s, data, len, on_mention, &block);
		memmove(data, data + len - kept, kept);
		*empty = *empty && len == 0;
	} while (n == BLOCK);
	buf_release(&text);
	return n < 0 ? -1 : 0;
}

bool *operand_mentioned(const struct graph *g, const struct store *s, const char *file,
			struct err *e)
{
	struct strset bases = {0}, hashes = {0};
	bool empty, *is = NULL;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || operand_mentions(s, fd, &bases, &empty) < 0)
		err_set_errno(e, "%s", file);
	else
		is = mem_zero(g->paths.n, sizeof *is);
	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < bases.n; i++)
		strset_add(&hashes, bases.name[i], STORE_HASH);
	for (size_t i = 0; is != NULL && i < g->paths.n; i++) {
		const char *base = strrchr(g->paths.name[i], '/') + 1;
		is[i] = strset_find(&hashes, base, STORE_HASH) != STRSET_NONE;
	}
	strset_release(&bases);
	strset_release(&hashes);
	return is;
}

/* The state of operand_sizes(). */
struct sizing {
	struct graph *g;
	const bool *skip;
	const struct store *store;
	pthread_mutex_t lock;
	bool failed;
	struct err why;
};

static void size_node(void *arg, size_t i)
{
	struct sizing *z = arg;
	struct buf where = {0};
	struct err why;

	if (z->g->node[i].size != NAR_UNKNOWN || (z->skip != NULL && z->skip[i]))
		return;
	store_locate(z->store, z->g->paths.name[i], &where);
	if (nar_walk(where.data, NULL, &z->g->node[i].size, &why) < 0) {
		pthread_mutex_lock(&z->lock);
		if (!z->failed)
			z->why = why;
		z->failed = true;
		pthread_mutex_unlock(&z->lock);
	}
	buf_release(&where);
}

int operand_sizes(struct graph *g, const bool *skip, const struct store *s, struct err *e)
{
	struct sizing z = {
	    .g = g, .skip = skip, .store = s, .lock = PTHREAD_MUTEX_INITIALIZER};
	bool is_any = false;

	for (size_t i = 0; i < g->paths.n; i++)
		is_any |= g->node[i].size == NAR_UNKNOWN;
	if (!is_any)
		return 0;
	pool_release(pool_start(g->paths.n, size_node, &z));
	if (z.failed)
		*e = z.why;
	return z.failed ? -1 : 0;
}
