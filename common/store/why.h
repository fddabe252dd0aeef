/*
 * why: print why a store path is in a closure.
 *
 * A root refers to the path, or to another path that refers to it, and so on. This module
 * prints the shortest such chain from each root:
 *
 *	why_write(&graph, is_root, target, &out);
 *
 *	/nix/store/HASH-app
 *	/nix/store/HASH-lib
 *	/nix/store/HASH-glibc
 *
 * A chain has a line for each path, from the root to the target. An empty line separates
 * two chains.
 */
#ifndef DT_WHY_H
#define DT_WHY_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct graph;

/*
 * Appends a chain from each node with is_root[number] to node `target`, except from roots
 * that do not need it. The chains are in the byte order of their roots. If several chains
 * of a root are the shortest, the result is the first of them in byte order.
 */
void why_write(const struct graph *g, const bool *is_root, uint32_t target,
	       struct buf *out);

#endif
