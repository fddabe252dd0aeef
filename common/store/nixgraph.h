/*
 * nixgraph: read store graphs in the formats that Nix writes.
 *
 * In a Nix build there is no database, but Nix can write the graph of a closure into the
 * build. The format is detected from the text:
 *
 * - registrations: the text of exportReferencesGraph, of `nix-store --dump-db`, and of
 *   the file `registration` of closureInfo. Each path has these lines: the path,
 *   optionally its hash and NAR size, its deriver or an empty line, the number of
 *   references, and each reference.
 * - JSON, an array of objects {"path", "narSize", "references"}: a closure graph, and
 *   `nix path-info --json` up to 2.18.
 * - JSON, an object with such an object or null under each store path: `nix path-info
 *   --json` since 2.19.
 * - JSON, an object with "storeDir" and such an object in "info", where paths lack their
 *   directory: the newest `nix path-info --json`.
 * - JSON, .attrs.json of a derivation, with all graphs that exportReferencesGraph added.
 * - dt-graph(5).
 */
#ifndef DT_NIXGRAPH_H
#define DT_NIXGRAPH_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct graph;

/* The largest file in bytes. */
enum { NIXGRAPH_LIMIT = 256 << 20 };

/*
 * Reads a text in one of these formats into the empty graph `g`. `what` names the text. A
 * path that is only referred to becomes an unknown node. A missing size becomes
 * NAR_UNKNOWN. All paths must be store paths of one store. Returns 0, or -1 with the
 * reason in `e`.
 */
int nixgraph_parse(struct graph *g, const char *text, size_t len, const char *what,
		   struct err *e);

/*
 * Sets *node to the node with this hash part. Returns 1 if there is one, 0 if not, or -1
 * with the reason in `e` if there are two.
 */
int nixgraph_find(const struct graph *g, const char *hash, uint32_t *node, struct err *e);

/*
 * Completes `g` to a closure with the data in `all`. Sets the size and references of
 * every path, adds the paths that it refers to, and so on. `what` is the source of `all`.
 * Returns 0, or -1 with the reason in `e` if `all` does not describe a path.
 */
int nixgraph_closure(const struct graph *all, const char *what, struct graph *g,
		     struct err *e);

#endif
