/*
 * copytree: lays a file tree over another one.
 */
#ifndef DT_COPYTREE_H
#define DT_COPYTREE_H

struct err;

/*
 * Lays what is in the directory `tree` over the directory `root`, owned by this user.
 * Directories are merged, and one of mode 0755 or 0555 leaves the mode of one that is
 * there; links on the way lead as they do where `root` is the root. Other files replace
 * what is there. Returns 0, or -1 and why not. Needs the right to chroot(2).
 */
int copytree_tree(const char *tree, const char *root, struct err *e);

#endif
