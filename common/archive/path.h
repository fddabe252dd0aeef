/*
 * path: paths inside of an archive or an image, by their text alone.
 *
 * A canonical path has no slash in front and no "", "." or ".." in it; "" is the root.
 */
#ifndef DT_PATH_H
#define DT_PATH_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Replaces the contents of `out` by the canonical path of `name`; none leaves the root.
 */
void path_clean(const char *name, struct buf *out);

/* The same for where a symlink at the path `link` with this target leads. */
void path_target(const char *link, const char *target, struct buf *out);

/* Whether the canonical path is `directory`, another one, or in it. */
bool path_is_in(const char *path, const char *directory);

#endif
