/*
 * sources: what goes into one layer, from several places.
 *
 * Directories, rootfs tars, links to packages, environments and complete store paths
 * become one tree. With an image below them, their directories go where the symlinks of
 * the image lead.
 */
#ifndef DT_SOURCES_H
#define DT_SOURCES_H

#include "tree/tree.h"

#include <stdbool.h>
#include <stddef.h>

struct err;
struct strset;
struct rootfs;
struct store;

/* One place, and where in the layer it goes. */
struct source {
	enum tree_kind kind;
	char *path;         /* as it was given, and as messages call it */
	char *at;           /* canonical; "" for the root */
	bool is_in_store;   /* `path` is its name there, wherever the store lies */
	bool is_store_path; /* all of it goes to its own place */
	bool is_tar;        /* `path` is a rootfs tar */
	unsigned env;
	char **open;       /* of an environment: see tree_source */
	struct tree *tree; /* from sources_merge() on */
	uint32_t root;     /* of the tree: what is put there */
	bool *is_left;     /* by entry: it goes elsewhere, or nowhere */
	bool *is_kept;     /* by entry: see tree_source */
	bool is_second;    /* all but `at`, `root` and `is_left` is another one's */
};

struct sources {
	struct source *source;
	size_t n, cap;
	struct store *store;  /* where store paths lie; not owned */
	bool keep_owners;     /* of TREE_AS_IS: owner, group, xattrs, hard links */
	bool owner_is_chosen; /* somebody wants all files to have the layer's owner */
	const struct strset
	    *keep_directories; /* of TREE_AS_IS: canonical paths of directories
			     that stay as they are, or NULL; not owned */
	bool keep_dirlinks;    /* see sources_merge() */
	struct rootfs *base;   /* the image below the layer, or NULL; not owned */
	const char *base_name; /* how messages call it */
	unsigned n_envs;
};

void sources_release(struct sources *s);

/*
 * Adds the contents of the directory `path`: TREE_AS_IS, TREE_COPY, or TREE_LINKS, for
 * which it must be in the store. Ends the process if it is not.
 */
void sources_add(struct sources *s, enum tree_kind kind, const char *path);

/* Adds the contents of a rootfs tar, "-": standard input. They keep their owners. */
void sources_add_tar(struct sources *s, const char *file);

/*
 * Adds an environment as nixpkgs' buildEnv makes it. The file ("-": standard input) has
 * a JSON object of "paths", a list of store paths, and "pathsToLink", a list of
 * directories in them (["/"]). Returns 0, or -1 and why not.
 */
int sources_add_env(struct sources *s, const char *file, struct err *e);

/*
 * Adds the canonical paths of the directories in `text` to the set for keep_directories.
 * A NUL ends each name. `what` names the text in messages. Returns 0, or -1 and a reason.
 */
int sources_parse_directories(const char *text, size_t len, const char *what,
			      struct strset *directories, struct err *e);

/*
 * Adds the store path itself, at its own place, owned by 0:0; nothing if the image below
 * has it.
 */
void sources_add_store_path(struct sources *s, const char *path);

/*
 * Reads all of them, on all cores, and merges them into the empty tree `t`; see
 * tree_merge(). Symlinks to directories are followed in copies and environments. With
 * `keep_dirlinks` those of copies stay, and what other sources have in a directory of
 * that name goes where they lead; and those that an environment is made of stay.
 *
 * A directory with files that are neither root's nor the caller's, whose owners are not
 * kept though nobody chose another one, is reported once.
 *
 * With an image below, a directory goes where a symlink of that name leads in the image,
 * with a warning, unless it is one of keep_directories; and directories that nobody chose
 * the attributes of have those of the image.
 */
void sources_merge(struct sources *s, struct tree *t);

#endif
