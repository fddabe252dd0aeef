/*
 * num: parse numbers and sizes.
 *
 * strtoul(3) accepts signs, blanks and overflow, which must be errors in options and in
 * untrusted input. All tools parse decimal numbers with this module.
 */
#ifndef DT_NUM_H
#define DT_NUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Parses all `len` bytes of `s` as a decimal number without sign or blanks. Returns 0 and
 * sets *out. Returns -1 if `s` has another form or the number is larger than `max`.
 */
int num_parse(const char *s, size_t len, uint64_t max, uint64_t *out);

/*
 * Returns the value of the option `--name`. Ends the process if it is not a number from
 * `min` to `max`.
 */
uint64_t num_option(const char *name, const char *value, uint64_t min, uint64_t max);

/*
 * Does the same for a size in bytes of at least 1. The suffixes K, M, G and T multiply
 * the number by a power of 1024.
 */
uint64_t num_size_option(const char *name, const char *value);

/*
 * Writes a size in the form that num_size_option() reads, with the largest suffix that
 * divides it.
 */
enum { NUM_SIZE_TEXT = 24 };
void num_size_text(uint64_t size, char out[NUM_SIZE_TEXT]);

#endif
