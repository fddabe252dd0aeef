/*
 * Files and symlinks of a store path, in which the scan finds the store paths that a
 * search for each of them finds.
 *
 * The first byte of the input places it at the boundary of a block that the scan reads.
 */
#include "store/scan.h"

#include "base/cache.h"
#include "base/err.h"
#include "store/graph.h"
#include "store/store.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum {
	BLOCK = 128 << 10, /* that the scan reads at once */
	CHUNK = 8 << 20,   /* of a thread */
	PATHS = 6,
};

/* The first two have the input. The others are referred to. */
static const char *const paths[PATHS] = {
    "00000000000000000000000000000000-file", "11111111111111111111111111111111-link",
    "0123456789abcdfghijklmnpqrsvwxyz-a",    "abababababababababababababababab-b",
    "babababababababababababababababa-c",    "0123456789abcdfghijklmnpqrsvwxy0-d",
};
static char top[] = "/tmp/dt-fuzz-scan.XXXXXX";
static bool is_made;

static void name(char out[PATH_MAX], size_t i)
{
	snprintf(out, PATH_MAX, "%s/%s", top, paths[i]);
}

static void remove_store(void)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < PATHS; i++) {
		name(path, i);
		unlink(path);
	}
	rmdir(top);
}

static void make_store(void)
{
	char path[PATH_MAX];

	if (mkdtemp(top) == NULL || atexit(remove_store) != 0)
		abort();
	for (size_t i = 0; i < PATHS; i++) {
		name(path, i);
		int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0)
			abort();
		close(fd);
	}
	is_made = true;
}

/* --- runs of hash characters --- */

static bool in_hash(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

struct runs {
	const char *next, *end;
};

/* The next run of the text, which is found by looking at each character. */
static void check_run(void *arg, const char *run, size_t len)
{
	struct runs *r = arg;
	const char *p = r->next;

	while (p < r->end) {
		size_t n = 0;
		while (p + n < r->end && in_hash((unsigned char)p[n]))
			n++;
		if (n >= STORE_HASH) {
			if (run != p || len != n)
				abort();
			r->next = p + n;
			return;
		}
		p += n + 1;
	}
	abort();
}

static void no_run(void *arg, const char *run, size_t len)
{
	(void)arg;
	(void)run;
	(void)len;
	abort();
}

static void check_runs(const char *text, size_t len)
{
	struct runs r = {text, text + len};
	size_t n = 0;

	scan_runs(text, len, check_run, &r);
	for (const char *p = r.next; p < r.end; p++) {
		n = in_hash((unsigned char)*p) ? n + 1 : 0;
		if (n >= STORE_HASH)
			abort();
	}
	if (len < STORE_HASH)
		scan_runs(text, len, no_run, NULL);
}

/* --- references --- */

static void write_file(const char *text, size_t len, off_t at)
{
	char path[PATH_MAX];

	name(path, 0);
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, at) < 0 || pwrite(fd, text, len, at) != (ssize_t)len)
		abort();
	close(fd);
}

static bool write_link(const char *text, size_t len)
{
	char path[PATH_MAX], target[PATH_MAX];

	if (len == 0 || len >= PATH_MAX || memchr(text, '\0', len) != NULL)
		return false;
	memcpy(target, text, len);
	target[len] = '\0';
	name(path, 1);
	unlink(path);
	return symlink(target, path) == 0;
}

static bool refers(const struct graph *g, uint32_t from, const char *to)
{
	for (size_t i = 0; i < g->node[from].n_refs; i++)
		if (strcmp(g->paths.name[g->node[from].refs[i]], to) == 0)
			return true;
	return false;
}

static void check_references(const struct scan *s, size_t from, const char *text,
			     size_t len)
{
	struct graph g = {0};
	struct err e;
	char path[PATH_MAX];

	name(path, from);
	uint32_t node = graph_node(&g, path, strlen(path));
	if (scan_closure(s, &g, &e) < 0)
		abort();
	for (size_t i = 0; i < PATHS; i++) {
		name(path, i);
		bool wanted =
		    i != from && memmem(text, len, paths[i], STORE_HASH) != NULL;
		if (refers(&g, node, path) != wanted)
			abort();
	}
	graph_release(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct store store = {top, (char[]){""}};
	const struct cache cache = {NULL};
	struct err e;

	if (len == 0)
		return 0;
	if (!is_made)
		make_store();
	const char *text = (const char *)data + 1;
	len--;
	check_runs(text, len);
	off_t boundary = data[0] % 64 == 63 ? CHUNK : data[0] % 8 == 7 ? BLOCK : 0;
	off_t before = (off_t)(len / 2 + data[0] / 8);
	write_file(text, len, boundary > before ? boundary - before : 0);
	bool has_link = write_link(text, len);
	struct scan *s = scan_open(&store, &cache, &e);
	if (s == NULL)
		abort();
	check_references(s, 0, text, len);
	if (has_link)
		check_references(s, 1, text, len);
	scan_close(s);
	return 0;
}
