/*
 * drv: store derivations.
 *
 * A .drv file tells how Nix or Guix builds store paths. It holds a term in ASCII, the
 * ATerm format of the Nix manual ("Derivation ATerm format"):
 *
 *	Derive(OUTPUTS,INPUTS,["PATH",...],"SYSTEM","BUILDER",["ARG",...],VARIABLES)
 *
 * OUTPUTS is a list of ("NAME","PATH","ALGORITHM","HASH"), INPUTS one of
 * ("PATH",["OUTPUT",...]), VARIABLES one of ("NAME","VALUE").
 */
#ifndef DT_DRV_H
#define DT_DRV_H

#include "base/json.h"

#include <stddef.h>

struct buf;
struct err;
struct store;

/* What is read into memory of any one derivation is bounded by this many bytes. */
enum { DRV_LIMIT = 16 << 20 };

/*
 * Parses a derivation; `what` names it in the reason, which tells the offset, in bytes.
 * All its paths must be store paths of `s` (which the first one tells, if nobody did).
 * Returns a new reference to an object as `nix derivation show` of Nix 2.15 to 2.17 has
 * it under a derivation's path, but for "name"; or NULL and why.
 *
 * Like Nix, it takes lists in any order, the last of several variables or inputs of one
 * name, and the first of several outputs. Sets are sorted and have nothing twice.
 */
json_t *drv_parse(struct store *s, const char *text, size_t len, const char *what,
		  struct err *e);

/*
 * Adds "name" to what drv_parse() made of a text, and writes the path that this text has
 * in the store: it is named by its digest, its name and the paths that it refers to.
 * Returns 0, or -1 and why.
 */
int drv_identify(const struct store *s, const char *text, size_t len, json_t *drv,
		 struct buf *path, struct err *e);

#endif
