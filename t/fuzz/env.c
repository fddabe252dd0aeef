/*
 * The options of dt-root that take files: environments, and directories to keep. Both are
 * the same input. An environment of paths that exist becomes a tree.
 */
#include "image/sources.h"

#include "archive/path.h"
#include "base/err.h"
#include "base/io.h"
#include "base/strset.h"
#include "store/store.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { DIRECTORIES = 7, FILES = 3 };

/* The store; its paths are those of /nix/store. */
static const char *const directories[DIRECTORIES] = {
    "/nix",
    "/nix/store",
    "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a",
    "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a/bin",
    "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a/nix-support",
    "/nix/store/abababababababababababababababab-b",
    "/nix/store/abababababababababababababababab-b/bin",
};
static const char *const files[FILES] = {
    "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a/bin/x",
    "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a/nix-support/y",
    "/nix/store/abababababababababababababababab-b/bin/z",
};
static char top[] = "/tmp/dt-fuzz-env.XXXXXX", file[64];
static int fd = -1;

static void place(char out[PATH_MAX], const char *path)
{
	snprintf(out, PATH_MAX, "%s%s", top, path);
}

static void remove_store(void)
{
	char path[PATH_MAX];

	for (size_t i = FILES; i-- > 0;) {
		place(path, files[i]);
		unlink(path);
	}
	for (size_t i = DIRECTORIES; i-- > 0;) {
		place(path, directories[i]);
		rmdir(path);
	}
	rmdir(top);
}

static void make_store(void)
{
	char path[PATH_MAX];

	fd = memfd_create("env", MFD_CLOEXEC);
	snprintf(file, sizeof file, "/proc/self/fd/%d", fd);
	if (fd < 0 || mkdtemp(top) == NULL || atexit(remove_store) != 0)
		abort();
	for (size_t i = 0; i < DIRECTORIES; i++) {
		place(path, directories[i]);
		if (mkdir(path, 0700) < 0)
			abort();
	}
	for (size_t i = 0; i < FILES; i++) {
		place(path, files[i]);
		int made = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		if (made < 0)
			abort();
		close(made);
	}
}

static void check_canonical(const char *path)
{
	struct buf clean = {0};

	path_clean(path, &clean);
	if (strcmp(clean.data, path) != 0)
		abort();
	buf_release(&clean);
}

static void keep(const char *text, size_t len)
{
	struct strset set = {0};
	struct err e;

	if (sources_parse_directories(text, len, "input", &set, &e) == 0)
		for (size_t i = 0; i < set.n; i++)
			check_canonical(set.name[i]);
	else if (len == 0 || text[len - 1] == '\0')
		abort();
	strset_release(&set);
}

/* Whether all sources are one of the two paths, which sources_merge() demands. */
static bool exist(const struct sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->source[i].path, directories[2]) != 0 &&
		    strcmp(s->source[i].path, directories[5]) != 0)
			return false;
	return s->n > 0;
}

/* The links of the tree are those of pathsToLink, and lead to the store. */
static void check_tree(struct sources *s)
{
	struct tree t = {0};
	struct buf path = {0}, link = {0};

	sources_merge(s, &t);
	for (uint32_t i = tree_next(&t, 0); i != TREE_END; i = tree_next(&t, i)) {
		const struct tree_entry *entry = &t.entry[i];
		buf_clear(&path);
		tree_path(&t, i, &path);
		check_canonical(path.data);
		if (strstr(path.data, "nix-support") != NULL)
			abort();
		if (S_ISLNK(entry->mode) &&
		    strncmp(tree_link(&t, i, &link), "/nix/store/", 11) != 0)
			abort();
	}
	buf_release(&path);
	buf_release(&link);
	tree_release(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct store store = {0};
	struct sources s = {.store = &store};
	struct err e;

	if (fd < 0)
		make_store();
	keep((const char *)data, len);
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    io_write(fd, data, len) < 0)
		return 1;
	store_init(&store, top);
	if (sources_add_env(&s, file, &e) == 0) {
		for (size_t i = 0; i < s.n; i++)
			for (char **open = s.source[i].open; *open != NULL; open++)
				check_canonical(*open);
		if (exist(&s))
			check_tree(&s);
	}
	sources_release(&s);
	store_release(&store);
	return 0;
}
