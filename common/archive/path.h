/*
 * path: normalize paths inside an archive or an image.
 *
 * Names in archives are untrusted and may contain ".." or extra slashes. These functions
 * only look at the text of a path; they do not access files.
 *
 * A canonical path has no leading slash and no empty, "." or ".." component. The empty
 * path is the root.
 */
#ifndef DT_PATH_H
#define DT_PATH_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/*
 * Replaces the contents of `out` with the canonical path of `name`. A ".." component
 * never leaves the root.
 */
void path_clean(const char *name, struct buf *out);

/*
 * Replaces the contents of `out` with the canonical path of a symlink's target. `link` is
 * the path of the symlink.
 */
void path_target(const char *link, const char *target, struct buf *out);

/* Returns whether the canonical path is `directory` or inside `directory`. */
bool path_is_in(const char *path, const char *directory);

#endif
