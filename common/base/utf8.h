/*
 * utf8: file names as sequences of characters.
 *
 * A file name is bytes. Where it must be read as text, it is UTF-8; a byte that is part
 * of no valid character counts as the character U+DC00 + byte (Python's
 * "surrogateescape", PEP 383), so that every name has just one reading.
 */
#ifndef DT_UTF8_H
#define DT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The character at *p, which is not at its NUL; moves *p behind it. */
uint32_t utf8_next(const char **p);

/* Whether these bytes, which may include NUL, are complete and valid characters. */
bool utf8_is_valid(const char *text, size_t len);

/* Orders two names by their characters, as strcmp(3) does by bytes. */
int utf8_compare(const char *a, const char *b);

#endif
