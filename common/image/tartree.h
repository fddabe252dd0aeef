/*
 * tartree: a rootfs tar as a file tree, for layers.
 *
 * The tar may be compressed, and made by any program: dt-flatten, mmdebstrap, bsdtar.
 * Names, links and sizes are checked as those of layers are, see rootfs. Contents stay in
 * the tar and are read from there.
 */
#ifndef DT_TARTREE_H
#define DT_TARTREE_H

#include <stdint.h>

struct err;
struct tree;

/*
 * Reads the tar `file` ("-": standard input) into the empty tree `t`. Each entry has the
 * owner, extended attributes and hard links that it has in the tar; times are left to the
 * layer's style. `dev` is a device number of which no other tree has hard links. Returns
 * 0, or -1 and why not.
 */
int tartree_read(struct tree *t, const char *file, uint64_t dev, struct err *e);

#endif
