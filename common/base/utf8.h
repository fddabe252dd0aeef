/*
 * utf8: read file names as Unicode characters.
 *
 * A file name is a sequence of bytes that need not be valid UTF-8. pax headers, sorting
 * and messages need characters. An invalid byte counts as the character U+DC00 + byte, as
 * Python's "surrogateescape" does (PEP 383). So every name has exactly one reading.
 */
#ifndef DT_UTF8_H
#define DT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns the character at *p and moves *p past it. *p must not point to the NUL. */
uint32_t utf8_next(const char **p);

/* Returns whether the `len` bytes are complete, valid UTF-8, which may include NUL. */
bool utf8_is_valid(const char *text, size_t len);

/* Compares two names by their characters, as strcmp(3) compares bytes. */
int utf8_compare(const char *a, const char *b);

#endif
