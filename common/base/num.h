/*
 * num: the one number parser.
 */
#ifndef DT_NUM_H
#define DT_NUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Parses all `len` bytes of `s` as a decimal number without sign or blanks. Returns 0
 * and sets *out, or -1 if it is none or larger than `max`.
 */
int num_parse(const char *s, size_t len, uint64_t max, uint64_t *out);

/* The value of the option `--name`; ends the process if it is not within min..max. */
uint64_t num_option(const char *name, const char *value, uint64_t min, uint64_t max);

/*
 * The same of a size in bytes: a number that K, M, G or T may follow, which stand for the
 * powers of 1024. The value must be 1 or more.
 */
uint64_t num_size_option(const char *name, const char *value);

/* Writes a size as the option takes it, with the largest letter that divides it. */
enum { NUM_SIZE_TEXT = 24 };
void num_size_text(uint64_t size, char out[NUM_SIZE_TEXT]);

#endif
