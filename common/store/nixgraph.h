/*
 * nixgraph: store graphs as Nix writes them down.
 *
 * What is understood, told apart by its looks:
 *
 *   - registrations: the text of exportReferencesGraph, `nix-store --dump-db`, and the
 *     file `registration` of closureInfo. Lines a path: the path, [its hash, its NAR
 *     size,] its deriver or nothing, the number of references, each reference;
 *   - JSON: an array of objects {"path", "narSize", "references"} (a closure graph, and
 *     `nix path-info --json` up to 2.18); an object with such an object, or null, under
 *     each store path (since 2.19); that below "info", paths without their directory,
 * which is "storeDir" (newest); a derivation's .attrs.json, all graphs that
 *     exportReferencesGraph put into it;
 *   - dt-graph(5).
 */
#ifndef DT_NIXGRAPH_H
#define DT_NIXGRAPH_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct graph;

/* No file is read that is larger. */
enum { NIXGRAPH_LIMIT = 256 << 20 };

/*
 * Reads such a text into the empty graph `g`. `what` names the text. A path may be
 * referred to and not be described: its node stays unknown. A size that is not told is
 * NAR_UNKNOWN. All paths are store paths, of one store. Returns 0, or -1 and why.
 */
int nixgraph_parse(struct graph *g, const char *text, size_t len, const char *what,
		   struct err *e);

/*
 * Sets *node to the one with this hash part. Returns 1, or 0 if there is none, or -1 and
 * why: there are two.
 */
int nixgraph_find(const struct graph *g, const char *hash, uint32_t *node, struct err *e);

/*
 * Completes `g` by what is known in `all`: gives every path its size and references,
 * adds those it refers to, and so on. Returns 0, or -1 and why: a path is not described
 * in it. `what` names where `all` is from.
 */
int nixgraph_closure(const struct graph *all, const char *what, struct graph *g,
		     struct err *e);

#endif
