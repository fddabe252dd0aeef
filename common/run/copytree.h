/*
 * copytree: copy a file tree into another one.
 *
 * dt-vmrun --tree adds files to an image's tree before the script runs.
 */
#ifndef DT_COPYTREE_H
#define DT_COPYTREE_H

struct err;

/*
 * Copies the contents of the directory `tree` into the directory `root`. The copies
 * belong to the calling user. Returns 0, or -1 and a reason. Needs the right to call
 * chroot(2).
 *
 *   - Directories are merged. An existing directory keeps its mode if the new one has
 *     mode 0755 or 0555.
 *   - Symlinks to directories in `root` are followed as if `root` were the root
 *     directory.
 *   - Other files replace existing ones.
 */
int copytree_tree(const char *tree, const char *root, struct err *e);

#endif
