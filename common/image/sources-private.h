/*
 * sources-private: directories that go where the symlinks of the image or of another
 * source lead.
 */
#ifndef DT_SOURCES_PRIVATE_H
#define DT_SOURCES_PRIVATE_H

#include "image/sources.h"

#include <stddef.h>

enum { SOURCES_LINKS_MAX = 40 }; /* symlinks that are followed for one path */

/*
 * Makes those directories of source `i` sources of their own, at the end of s->source.
 * All trees must have been read.
 */
void sources_redirect(struct sources *s, size_t i);

#endif
