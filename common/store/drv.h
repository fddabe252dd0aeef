/*
 * drv: parse store derivations, the .drv files of Nix and Guix.
 *
 * A derivation describes how a store path is built. The file contains a term in ASCII,
 * the ATerm format of the Nix manual ("Derivation ATerm format"):
 *
 *	Derive(OUTPUTS,INPUTS,["PATH",...],"SYSTEM","BUILDER",["ARG",...],VARIABLES)
 *
 * OUTPUTS is a list of ("NAME","PATH","ALGORITHM","HASH"), INPUTS is a list of
 * ("PATH",["OUTPUT",...]), and VARIABLES is a list of ("NAME","VALUE").
 */
#ifndef DT_DRV_H
#define DT_DRV_H

#include "base/json.h"

#include <stddef.h>

struct buf;
struct err;
struct store;

/* The largest derivation in bytes. */
enum { DRV_LIMIT = 16 << 20 };

/*
 * Parses a derivation. Returns a new reference to an object in the form that `nix
 * derivation show` of Nix 2.15 to 2.17 prints for one path, except that "name" is empty;
 * see drv_identify(). Returns NULL with the reason in `e` on failure. The reason contains
 * `what` and the offset in bytes.
 *
 * All paths must be store paths of `s`. If the store directory is not known yet, the
 * first path sets it.
 *
 * Like Nix, the parser accepts lists in any order. If several variables or inputs have
 * the same name, the last counts. If several outputs have the same name, the first
 * counts. Sets are sorted and contain no duplicates.
 */
json_t *drv_parse(struct store *s, const char *text, size_t len, const char *what,
		  struct err *e);

/*
 * Adds "name" to the result of drv_parse(), and computes the store path of the derivation
 * from its text. Nix derives the path from the digest of the text, the name and the paths
 * that the text refers to. Returns 0, or -1 with the reason in `e`.
 */
int drv_identify(const struct store *s, const char *text, size_t len, json_t *drv,
		 struct buf *path, struct err *e);

#endif
