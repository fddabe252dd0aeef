/*
 * layer: from file trees to the bytes of a layer tar.
 *
 * A layer is known by its diff_id, the SHA-256 of its tar, which stands in front of the
 * tar in a layer archive (dt-image(5)). So it is gone through twice: once to find digest
 * and size, once to write it. Both go through the same code, and a file that changed
 * between the two ends the process with a message that names it. If only a file's ctime
 * or inode number changed, the layer is hashed again after it was written.
 */
#ifndef DT_LAYER_H
#define DT_LAYER_H

#include "base/digest.h"
#include "tree/tree.h"

struct cache;

/* What all members of a layer have in common. */
struct layer_style {
	int64_t mtime; /* seconds since 1970 */
	uint64_t uid, gid;
	const char *uname, *gname;
};

/*
 * A file tree in a layer. `prefix` is what its root is called ("/nix/store/HASH-NAME");
 * NULL: the root is the layer's root, names are relative to it, and it has a member, ".",
 * only if it has an owner.
 */
struct layer_part {
	struct tree tree;
	char *prefix;
};

struct layer {
	const struct layer_style *style;
	char *parents; /* "/nix/store": the directories that begin the layer, or NULL */
	struct layer_part *part;
	size_t n, cap;
	uint64_t size; /* of the layer tar, in bytes; from layer_measure() */
	char diff_id[DIGEST_HEX + 1]; /* its SHA-256; from layer_measure() */
	bool is_fresh; /* a file may have changed since then without its times telling */
};

/* A new, empty part. The layer owns it and frees its tree and prefix. */
struct layer_part *layer_add(struct layer *l);

/* A zeroed struct is an empty layer. */
void layer_release(struct layer *l);

/*
 * Finds diff_id and size, by reading all files or from the cache. Layers can be measured
 * in several threads at once. The cache's key is a digest over the style and, of every
 * file, name, mode, size, link target, mtime, ctime and inode number.
 */
void layer_measure(struct layer *l, const struct cache *cache);

/*
 * Writes the layer's tar to `fd`. Ends the process on failure: also if the layer was
 * measured and the bytes may not be those of its digest, or if it was not and a file is
 * not what it was when the trees were scanned.
 */
void layer_write(struct layer *l, int fd);

#endif
