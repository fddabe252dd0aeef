/*
 * layer: make a layer tar of file trees.
 *
 * A layer has a diff_id, the SHA-256 of its tar. In a layer archive (dt-image(5)) the
 * diff_id precedes the tar. So a layer is produced twice: once to measure it, and once to
 * write it. A layer whose small files fit into the memory given is recorded when it is
 * measured, and only its large files are read twice.
 *
 *	struct layer l = {.style = &style};
 *	tree_scan(&layer_add(&l)->tree, path, NULL);
 *	layer_measure(&l, &cache, &budget);
 *	layer_write(&l, STDOUT_FILENO);
 *
 * Both passes use the same code. A file that changes between them ends the process with a
 * message that names the file. If only the ctime or the inode number of a file changed,
 * the layer is hashed again after it was written.
 */
#ifndef DT_LAYER_H
#define DT_LAYER_H

#include "base/digest.h"
#include "base/opt.h"
#include "tree/record.h"
#include "tree/tree.h"

#include <stdbool.h>

struct buf;
struct cache;
struct progress_task;

/* The metadata that all members of a layer share, unless an entry has an owner. */
struct layer_style {
	int64_t mtime; /* seconds since 1970 */
	uint64_t uid, gid;
	const char *uname, *gname;
};

/*
 * The options of a style, which every tool that makes layers has:
 *
 *	static const struct opt option_table[] = {LAYER_STYLE_OPTIONS, {0}};
 *	layer_style_init(&style);
 *	while ((key = opt_next(argc, argv, &tool)) != -1)
 *		if (!layer_style_option(&style, key, optarg))
 *			...
 *
 * The keys of the tools' own options are lower. --owner is an option of the tool, since
 * not all tools take the same values: see layer_style_owner().
 */
enum { LAYER_OPT_MTIME = 200, LAYER_OPT_UNAME, LAYER_OPT_GNAME };

/* clang-format off */
#define LAYER_STYLE_OPTIONS \
	{LAYER_OPT_MTIME, "mtime", "TIME", \
	 "time of all files (SOURCE_DATE_EPOCH, else 1970-01-01T00:00:01Z)"}, \
	{LAYER_OPT_UNAME, "uname", "NAME", "the owner's name (root)"}, \
	{LAYER_OPT_GNAME, "gname", "NAME", "the group's name (root)"}
/* clang-format on */

/* The defaults of the options. */
void layer_style_init(struct layer_style *s);

/*
 * Takes an option. Returns false if its key is not in the enum above. Ends the process if
 * the value is wrong.
 */
bool layer_style_option(struct layer_style *s, int key, const char *value);

/* Sets the owner from the text UID:GID. Returns 0, or -1 if the text is something else.
 */
int layer_style_owner(struct layer_style *s, const char *value);

/*
 * A file tree in a layer. `prefix` is the path of its root ("/nix/store/HASH-NAME"). If
 * `prefix` is NULL, the root of the tree is the root of the layer, and names are relative
 * to it. Then the root has a member, ".", only if it has an owner.
 */
struct layer_part {
	struct tree tree;
	char *prefix;
};

struct layer {
	const struct layer_style *style;
	char *parents; /* directories at the start of the layer, such as "/nix/store", or
			  NULL */
	struct layer_part *part;
	size_t n, cap;
	uint64_t size; /* size of the tar in bytes; set by layer_measure() */
	char diff_id[DIGEST_HEX + 1]; /* set by layer_measure() */
	/*
	 * Set by layer_measure(): why the layer was hashed, or NULL if the digest comes
	 * from the cache; why the digest was not put into the cache, or NULL; the key in
	 * the cache.
	 */
	const char *why_hashed, *why_not_kept;
	char key[DIGEST_HEX + 1];
	struct progress_task *task; /* hashing and writing; or NULL, the default */
	/* A file changed so recently that a later change may not change its times. */
	bool is_fresh;
	struct record record; /* the bytes that layer_measure() hashed */
};

/* Adds an empty part. The layer owns it and frees its tree and prefix. */
struct layer_part *layer_add(struct layer *l);

/* A zeroed struct is an empty layer. */
void layer_release(struct layer *l);

/* The sum of the sizes of the files. */
uint64_t layer_bytes(const struct layer *l);

/*
 * Determines diff_id and size by reading all files, or from the cache. Several threads
 * may measure different layers. The key in the cache is a digest of the style, of all
 * prefixes, and of tree_digest() of each tree. `budget` limits the memory for records,
 * and lasts until the layers are released. If it is NULL, nothing is recorded.
 */
void layer_measure(struct layer *l, const struct cache *cache,
		   struct record_budget *budget);

/* Appends how layer_measure() got the digest, such as "cached, key 0123456789ab". */
void layer_explain(const struct layer *l, struct buf *out);

/*
 * Writes the layer tar to `fd`. Ends the process on failure. If the layer was measured,
 * bytes that may differ from the measured digest are a failure. If it was not, a file
 * that changed since its tree was scanned is a failure.
 */
void layer_write(struct layer *l, int fd);

#endif
