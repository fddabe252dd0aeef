#include "image/sources.h"

#include "archive/path.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/strset.h"
#include "image/rootfs.h"
#include "image/sources-private.h"
#include "image/tartree.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What buildEnv leaves out: it is there for builds, or the same in all packages. */
static const char *const never_in_env[] = {"nix-support", "propagated-build-inputs"};

static struct source *new_source(struct sources *s, enum tree_kind kind, const char *path)
{
	s->source = mem_grow(s->source, &s->cap, s->n + 1, sizeof *s->source);
	s->source[s->n] =
	    (struct source){.kind = kind, .path = mem_strdup(path), .at = mem_strdup("")};
	return &s->source[s->n++];
}

void sources_release(struct sources *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct source *one = &s->source[i];
		free(one->at);
		free(one->is_left);
		if (one->is_second)
			continue;
		free(one->is_kept);
		free(one->path);
		for (char **open = one->open; open != NULL && *open != NULL; open++)
			free(*open);
		free(one->open);
		if (one->tree != NULL)
			tree_release(one->tree);
		free(one->tree);
	}
	free(s->source);
	*s = (struct sources){0};
}

static int check_in_store(struct sources *s, const char *option, const char *path,
			  struct err *e)
{
	if (store_adopt(s->store, path, strlen(path)) == 0)
		return err_set(e, "--%s %s: not in a store", option, path);
	return 0;
}

void sources_add(struct sources *s, enum tree_kind kind, const char *path)
{
	struct source *one = new_source(s, kind, path);
	struct err why;

	if (kind == TREE_LINKS && check_in_store(s, "links", path, &why) < 0)
		die("%s", why.text);
	one->is_in_store =
	    kind != TREE_AS_IS && store_adopt(s->store, path, strlen(path)) != 0;
}

void sources_add_tar(struct sources *s, const char *file)
{
	new_source(s, TREE_AS_IS, file)->is_tar = true;
}

void sources_add_store_path(struct sources *s, const char *path)
{
	if (s->base != NULL && rootfs_find(s->base, path) != ROOTFS_NONE)
		return;
	struct source *one = new_source(s, TREE_AS_IS, path);
	free(one->at);
	one->at = mem_strdup(path + 1);
	one->is_in_store = one->is_store_path = true;
}

/* --- environments --- */

static int check_env(json_t *doc, struct err *e)
{
	const char *key;
	json_t *value;

	if (!json_is_object(doc) || json_object_get(doc, "paths") == NULL)
		return err_set(e, "an environment is an object with a list of paths");
	json_object_foreach(doc, key, value)
	{
		bool is_list =
		    strcmp(key, "paths") == 0 || strcmp(key, "pathsToLink") == 0;
		if (!is_list && strcmp(key, "name") != 0)
			return err_set(e, "unknown key '%s' of an environment", key);
		if (is_list && !json_are_strings(value))
			return err_set(e, "%s is not a list of strings", key);
	}
	return 0;
}

/* The directories of pathsToLink, canonical, ended by NULL. */
static char **open_directories(const json_t *doc)
{
	const json_t *list = json_object_get(doc, "pathsToLink");
	size_t n = json_array_size(list);
	char **open = mem_zero(n + 2, sizeof *open);

	if (list == NULL)
		open[0] = mem_strdup("");
	for (size_t i = 0; i < n; i++) {
		struct buf path = {0};
		path_clean(json_string_value(json_array_get(list, i)), &path);
		open[i] = path.data;
	}
	return open;
}

int sources_add_env(struct sources *s, const char *file, struct err *e)
{
	json_t *doc = json_read_file(file, JSON_LIMIT, e), *path;
	int result = -1;
	size_t i;

	if (doc == NULL)
		return -1;
	if (check_env(doc, e) < 0) {
		err_prefix(e, "%s", io_name(file));
		goto out;
	}
	json_array_foreach(json_object_get(doc, "paths"), i, path)
	{
		if (check_in_store(s, "env", json_string_value(path), e) < 0)
			goto out;
		struct source *one = new_source(s, TREE_GROUP, json_string_value(path));
		one->is_in_store = true;
		one->env = s->n_envs;
		one->open = open_directories(doc);
	}
	s->n_envs++;
	result = 0;
out:
	json_decref(doc);
	return result;
}

/* --- directories to keep --- */

int sources_parse_directories(const char *text, size_t len, const char *what,
			      struct strset *directories, struct err *e)
{
	struct buf path = {0};

	if (len > 0 && text[len - 1] != '\0')
		return err_set(e, "%s: truncated, no NUL ends the last name", what);
	for (size_t at = 0; at < len; at += strlen(text + at) + 1) {
		path_clean(text + at, &path);
		strset_add(directories, path.data, path.len);
	}
	buf_release(&path);
	return 0;
}

/* --- reading --- */

/* Leaves out what is in none of the directories of pathsToLink. */
static void leave_unlinked(struct source *one)
{
	const struct tree *t = one->tree;
	struct buf path = {0};

	for (uint32_t i = 1; i < t->n; i++) {
		bool wanted = false;
		buf_clear(&path);
		tree_path(t, i, &path);
		for (char **open = one->open; *open != NULL; open++)
			wanted =
			    wanted || path_is_in(path.data, *open) ||
			    (S_ISDIR(t->entry[i].mode) && path_is_in(*open, path.data));
		for (size_t k = 0; k < sizeof never_in_env / sizeof *never_in_env; k++)
			wanted = wanted && !path_is_in(path.data, never_in_env[k]);
		one->is_left[i] = !wanted;
	}
	buf_release(&path);
}

/* Marks the directories that stay as they are. */
static void mark_kept(const struct sources *s, struct source *one)
{
	const struct tree *t = one->tree;
	struct buf path = {0};

	one->is_kept = mem_zero(t->n, sizeof *one->is_kept);
	for (uint32_t i = 0; i < t->n; i++) {
		if (!S_ISDIR(t->entry[i].mode))
			continue;
		buf_clear(&path);
		buf_addstr(&path, "");
		tree_path(t, i, &path);
		one->is_kept[i] =
		    strset_find(s->keep_directories, path.data, path.len) != STRSET_NONE;
	}
	buf_release(&path);
}

/* Where what the store has at this place is, if that is a symlink into the store. */
static char *follow_in_store(const struct store *store, struct buf *place)
{
	char target[PATH_MAX];

	for (int links = 0; links < SOURCES_LINKS_MAX; links++) {
		ssize_t n = readlink(place->data, target, sizeof target - 1);
		if (n < 0 || target[0] != '/')
			break;
		target[n] = '\0';
		store_locate(store, target, place);
	}
	return realpath(place->data, NULL);
}

/* Whether what stat(2) tells of its files is what the layer has. */
static bool keeps_owners(const struct sources *s, const struct source *one)
{
	return one->is_tar ||
	       (s->keep_owners && one->kind == TREE_AS_IS && !one->is_store_path);
}

/* Reads a source's tree from disk. */
static void scan_tree(const struct sources *s, struct source *one)
{
	struct buf place = {0}, store = {0};
	struct tree_scan how = {
	    .keep_owners = keeps_owners(s, one),
	    .no_devices = one->is_store_path,
	    .follow =
		one->kind == TREE_GROUP || (one->kind == TREE_COPY && !s->keep_dirlinks),
	};

	if (s->store->dir != NULL) {
		store_locate(s->store, s->store->dir, &store);
		how.store = s->store->dir;
		how.place = store.data;
	}
	if (one->is_in_store)
		store_locate(s->store, one->path, &place);
	else
		buf_addstr(&place, one->path);
	char *real = one->is_store_path ? mem_strdup(place.data)
		     : one->is_in_store ? follow_in_store(s->store, &place)
					: realpath(place.data, NULL);
	if (real == NULL)
		die_errno("%s", place.data);
	tree_scan(one->tree, real, &how);
	free(real);
	buf_release(&place);
	buf_release(&store);
}

static void read_source(void *arg, size_t i)
{
	const struct sources *s = arg;
	struct source *one = &s->source[i];
	struct err why;

	one->tree = mem_zero(1, sizeof *one->tree);
	if (!one->is_tar)
		scan_tree(s, one);
	else if (tartree_read(one->tree, one->path, UINT64_MAX - i, &why) < 0)
		die("%s", why.text);
	one->is_left = mem_zero(one->tree->n, sizeof *one->is_left);
	if (one->kind == TREE_GROUP)
		leave_unlinked(one);
	if (s->keep_directories != NULL && one->kind == TREE_AS_IS && !one->is_store_path)
		mark_kept(s, one);
}

/* The first directory whose owners are lost unawares, in the order of the command line.
 */
static void report_owners(const struct sources *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct source *one = &s->source[i];
		bool is_copied = one->kind == TREE_AS_IS || one->kind == TREE_COPY;
		if (!is_copied || one->is_in_store || keeps_owners(s, one) ||
		    !one->tree->has_strangers)
			continue;
		warn("%s: files of owner %" PRIu64 ":%" PRIu64 " become 0:0; "
		     "--owner keep keeps the owners in a --tree",
		     one->path, one->tree->stranger_uid, one->tree->stranger_gid);
		return;
	}
}

/* --- the tree --- */

/* Returns whether the layer is made of one directory or tar. */
static bool is_alone(const struct sources *s)
{
	const struct source *one = &s->source[0];

	return s->n == 1 && one->kind != TREE_GROUP && one->at[0] == '\0' &&
	       !one->is_store_path && S_ISDIR(one->tree->entry[0].mode);
}

/* Moves the tree of the only source to `t`, and keeps what report_owners() needs. */
static void move_tree(struct tree *from, struct tree *t)
{
	*t = *from;
	*from = (struct tree){
	    .has_strangers = t->has_strangers,
	    .stranger_uid = t->stranger_uid,
	    .stranger_gid = t->stranger_gid,
	};
}

static void merge(const struct sources *s, struct tree *t)
{
	static const struct tree_owner root = {0};
	struct tree_source *list = mem_zero(s->n, sizeof *list);

	for (size_t i = 0; i < s->n; i++) {
		const struct source *one = &s->source[i];
		list[i] = (struct tree_source){
		    .tree = one->tree,
		    .root = one->root,
		    .at = one->at,
		    .is_moved = one->is_second,
		    .is_left = one->is_left,
		    .is_kept = one->is_kept,
		    .kind = one->kind,
		    .as_links = one->path,
		    .group = one->env,
		    .open = one->open,
		    .keeps_links = s->keep_dirlinks,
		    .owner = one->is_store_path ? &root : NULL,
		    .said_as = one->path,
		};
	}
	if (is_alone(s)) {
		tree_merge_alone(s->source[0].tree, &list[0]);
		move_tree(s->source[0].tree, t);
	} else {
		tree_merge(t, list, s->n);
	}
	free(list);
}

/* Gives a directory that is implied what it has in the image below. */
static void inherit(const struct sources *s, struct tree *t, uint32_t i,
		    const struct rootfs_inode *inode)
{
	const struct rootfs_common *from = rootfs_common(s->base, inode);
	const struct tree_owner owner = {
	    .uid = from->uid,
	    .gid = from->gid,
	    .has_mtime = true,
	    .mtime = from->mtime,
	    .nsec = from->nsec,
	};

	t->entry[i].mode = from->mode;
	t->entry[i].owner = tree_add_owner(t, &owner, s->base->text.data + from->xattrs,
					   from->xattrs_len);
}

static void compare_with_base(const struct sources *s, struct tree *t)
{
	struct buf path = {0};

	for (uint32_t i = tree_next(t, 0), next; i != TREE_END; i = next) {
		next = tree_next(t, i);
		buf_clear(&path);
		tree_path(t, i, &path);
		uint32_t node = rootfs_find(s->base, path.data);
		if (node == ROOTFS_NONE || !S_ISDIR(rootfs_mode(s->base, node)))
			next = tree_skip(t, i); /* nothing below can be there */
		else if (!S_ISDIR(t->entry[i].mode))
			warn("/%s is a directory in %s, and no longer", path.data,
			     s->base_name);
		else if (t->entry[i].is_implied)
			inherit(s, t, i, rootfs_inode(s->base, node));
	}
	buf_release(&path);
}

void sources_merge(struct sources *s, struct tree *t)
{
	pool_release(pool_start(s->n, read_source, s));
	for (size_t i = 0; i < s->n; i++)
		if ((s->base != NULL || s->keep_dirlinks) && !s->source[i].is_store_path)
			sources_redirect(s, i);
	merge(s, t);
	if (!s->owner_is_chosen)
		report_owners(s);
	if (s->base != NULL)
		compare_with_base(s, t);
}
