/*
 * known: which layers the images of a repository have.
 *
 *	known_tag(&k, "1", &e);
 *	blob = pairs_find(&k.pairs, diff_id, COMPRESS_GZIP);
 *
 * Everything is read from the registry. The cache only remembers which manifest of the
 * repository has a layer, so a wrong entry in it costs a request and has no other effect.
 * Whoever can write to the repository is trusted.
 *
 * Documents that are damaged or no images are ignored.
 */
#ifndef DT_KNOWN_H
#define DT_KNOWN_H

#include "archive/compress.h"
#include "base/digest.h"
#include "base/strset.h"
#include "registry/fetch.h"
#include "registry/pairs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct known {
	struct fetch fetch;        /* of the repository */
	struct fetch other;        /* of another repository; its registry may be NULL */
	struct pairs pairs;        /* the layers that were found */
	struct strset manifests;   /* hex digests of the tag's manifests */
	struct strset configs;     /* hex digests of configurations that the caller has */
	const struct buf **config; /* configs.n texts, borrowed */
	size_t config_cap;
	char tag[DIGEST_HEX + 1]; /* digest of the tag's manifest or index, or "" */
};

void known_release(struct known *k);

/* Adds a configuration that need not be downloaded. The text must outlive `k`. */
void known_config(struct known *k, const char *hex, const struct buf *text);

/*
 * Reads the image that has the tag now; an index with all its images. Returns 0, also if
 * there is no such tag, or -1 and a reason.
 */
int known_tag(struct known *k, const char *tag, struct err *e);

/* The layers that the next two functions look for. */
struct known_wanted {
	const char (*diff_id)[DIGEST_HEX + 1];
	size_t n;
	enum compress_format format;
};

/* Reads the manifests of the repository that the cache names for unknown layers. */
void known_remembered(struct known *k, const struct known_wanted *w);

/*
 * Reads images of other tags than `tag` until all layers are known, but not more than
 * eight: latest and those with the highest version numbers. With `other`, those of the
 * other repository, and first of all its tag of the same name.
 */
void known_tags(struct known *k, const struct known_wanted *w, const char *tag,
		bool other);

/* Remembers in the cache that the manifest `hex` of the repository has these layers. */
void known_remember(const struct known *k, const struct known_wanted *w, const char *hex);

#endif
