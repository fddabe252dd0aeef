/*
 * hash: a hash function for tables.
 */
#ifndef DT_HASH_H
#define DT_HASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Returns a hash for tables whose keys come from untrusted input. The hash has a random
 * key in each process, so nobody can choose names that all fall into one bucket. Output
 * must not depend on the hash.
 */
uint64_t hash_keyed(const void *data, size_t len);

#endif
