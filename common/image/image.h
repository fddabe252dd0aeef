/*
 * image: read an image from an image archive or image layout.
 *
 * It reads archives of Docker (`docker save`: manifest.json, and layers as ID/layer.tar
 * or in blobs/) and OCI image layouts (index.json). Both may be a tar or a directory. The
 * tar and each layer may be compressed. Archives are untrusted input: sizes are bounded
 * and digests are compared. In this header, "archive" includes directories.
 *
 * An archive may hold several images, and an image for several platforms. A struct
 * image_choice selects one. Every tool that reads an image has the same options for it:
 *
 *	static const struct opt option_table[] = {IMAGE_OPTIONS, {0}};
 *	image_choice_init(&choice);
 *	while ((key = opt_next(argc, argv, &tool)) != -1)
 *		if (!image_choice_option(&choice, key, optarg))
 *			...
 *	if (image_open(&im, &choice, &why) < 0)
 *		die("%s", why.text);
 *
 * Specifications: OCI image specification, image-layout.md; Docker image specification
 * v1.2, "Combined Image JSON".
 */
#ifndef DT_IMAGE_H
#define DT_IMAGE_H

#include "archive/unpack.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/opt.h"
#include "image/platform.h"

#include <stdbool.h>
#include <stdint.h>

struct err;

/* --- selecting an image --- */

struct image_choice {
	const char *from;         /* archive or directory; "-": standard input; or NULL */
	const char *name, *tag;   /* the wanted ones; NULL: any */
	struct platform platform; /* the default is this machine's */
	const char *os;
	bool has_arch, has_os; /* set by an option */
	bool may_lack;         /* accept a thin archive, which lacks layers */
};

/* The keys of these options. A tool's own options must have smaller keys. */
enum {
	IMAGE_OPT_FROM = 100,
	IMAGE_OPT_NAME,
	IMAGE_OPT_TAG,
	IMAGE_OPT_ARCH,
	IMAGE_OPT_OS,
	IMAGE_OPT_MAX_UNPACKED
};

/* Rows for a tool's option table. Tools with an option --from add its row themselves. */
/* clang-format off */
#define IMAGE_OPTION_MAX_UNPACKED \
	{IMAGE_OPT_MAX_UNPACKED, "max-unpacked", "SIZE", \
	 "unpack at most this many bytes; K, M, G or T may follow (256G)"}
#define IMAGE_OPTION_ARCH \
	{IMAGE_OPT_ARCH, "arch", "ARCH", "choose the image for this architecture (this machine's)"}
#define IMAGE_OPTIONS_NAME \
	{IMAGE_OPT_NAME, "from-name", "NAME", "choose the image with this name"}, \
	{IMAGE_OPT_TAG, "from-tag", "TAG", "choose the image with this tag"}, \
	IMAGE_OPTION_MAX_UNPACKED
#define IMAGE_OPTIONS \
	IMAGE_OPTIONS_NAME, \
	IMAGE_OPTION_ARCH, \
	{IMAGE_OPT_OS, "os", "OS", "choose the image for this operating system (linux)"}
/* clang-format on */

/* Selects any image for Linux on this machine's architecture. */
void image_choice_init(struct image_choice *c);

/*
 * Handles an option. Returns false if `key` is not one of the keys above. Exits with
 * status 2 if the value is invalid. --max-unpacked is not stored in `c`: it sets the
 * limit of the process, see unpack_limit().
 */
bool image_choice_option(struct image_choice *c, int key, const char *value);

/* Whether no option besides --from restricts the choice. */
bool image_choice_is_empty(const struct image_choice *c);

/* --- images --- */

struct image_layer {
	char diff_id[DIGEST_HEX + 1];
	const struct unpack_place *place; /* NULL: the archive lacks it, see may_lack */
};

enum { IMAGE_MAX = 4096 }; /* images in an archive */

/* An open archive and the list of its images. */
struct image_archive {
	struct unpack_index index;
	const char *file; /* the name for messages; not copied */
	const struct image_choice *choice;
	json_t *images;       /* entries of manifest.json, or OCI descriptors */
	bool is_oci;          /* `images` holds OCI descriptors of index.json */
	json_t *docker, *oci; /* all entries of each document, or NULL */
	bool is_several; /* has a manifest.json, and index.json has several platforms */
};

/*
 * Opens the archive `file` ("-": standard input). Of `choice`, only the platform is used;
 * the name and the tag are ignored. `file` and `choice` must outlive the archive.
 *
 * The images are those of manifest.json. Those of index.json are used instead in two
 * cases:
 *
 *   - There is no manifest.json.
 *   - An option selected a platform, and index.json has several platforms.
 *
 * An image of index.json for another platform is ignored if an image for the selected
 * platform has the same name. Images without a name count as having the same name.
 *
 * Returns 0, or -1 and a reason. The caller must release the archive in both cases.
 */
int image_archive_open(struct image_archive *a, const char *file,
		       const struct image_choice *choice, struct err *e);

/* Does nothing to a zeroed struct. */
void image_archive_release(struct image_archive *a);

/*
 * Makes a->images those of index.json if `is_oci`, else those of manifest.json. The
 * document must exist.
 */
void image_archive_use(struct image_archive *a, bool is_oci);

/*
 * Whether an array of OCI descriptors, including nested indexes, has several platforms.
 */
bool image_archive_has_platforms(const struct image_archive *a, const json_t *list);

/*
 * Sets `p` to the only platform in index.json, including nested indexes. Returns false if
 * there is no platform, if there are several, or if it is not Linux on a known
 * architecture.
 */
bool image_archive_platform(const struct image_archive *a, struct platform *p);

/* Whether the archive has a member of this name, which may be anything. */
bool image_archive_has(const struct image_archive *a, const char *name);

/* The references of an entry of a->images, a new array of strings. */
json_t *image_archive_tags(const struct image_archive *a, const json_t *entry);

/*
 * Parses the JSON document in the archive's entry `member`, and appends its bytes to
 * `text`. If `hex` is not NULL, the digest of the bytes must be equal to it. Returns a
 * new reference, or NULL and a reason. Ends the process if the system cannot read the
 * member: callers ignore a bad document that they do not need, but the output must not
 * depend on such a failure.
 */
json_t *image_archive_text(const struct image_archive *a, const char *member,
			   const char *hex, struct buf *text, struct err *e);

/*
 * Parses the JSON document that a descriptor points to; otherwise as
 * image_archive_text().
 */
json_t *image_archive_blob(const struct image_archive *a, const json_t *descriptor,
			   struct buf *text, struct err *e);

/*
 * The manifest that a descriptor points to. If it points to an index, the entry that fits
 * the platform best is followed. Returns a new reference, or NULL and a reason.
 */
json_t *image_archive_manifest(const struct image_archive *a, const json_t *descriptor,
			       struct err *e);

/*
 * Descriptors of all manifests in index.json and nested indexes, a new object. Its keys
 * are the hex digests of the configurations; the first manifest of a configuration
 * counts.
 */
json_t *image_archive_manifests(const struct image_archive *a);

/*
 * The annotations in the manifest that a descriptor points to, a new object. It is empty
 * if the descriptor is NULL, or if the manifest has none or cannot be read.
 */
json_t *image_archive_annotations(const struct image_archive *a,
				  const json_t *descriptor);

/* An image of an archive. */
struct image {
	const struct image_archive *archive;
	struct image_archive *own; /* opened by image_open(), else NULL */
	const char *file;          /* the archive's name for messages */
	char id[DIGEST_HEX + 1];   /* digest of the configuration's bytes */
	struct buf text;           /* the configuration's bytes */
	json_t *config;            /* the parsed configuration, an object */
	json_t *tags;              /* references, an array of strings */
	struct image_layer *layer; /* bottom layer first */
	size_t n;
};

/*
 * Stores the reason why the image cannot be used: its archive is thin and lacks layer
 * `i`. Returns -1.
 */
int image_lacks(const struct image *im, size_t i, struct err *e);

/*
 * Opens an archive and the first image in it that has the wanted name and tag. If that
 * image exists for several platforms, the best one for the wanted platform is opened.
 *
 * An image of manifest.json is accepted for any platform in two cases:
 *
 *   - index.json has it for a single platform.
 *   - No option selected a platform, and there is no image for this machine.
 *
 * Returns 0, or -1 and a reason. The caller must release the image in both cases.
 * `choice` must outlive the image.
 */
int image_open(struct image *im, const struct image_choice *choice, struct err *e);

/*
 * Opens the image of an open archive that image_open() would open. Otherwise as
 * image_open_at().
 */
int image_open_in(struct image *im, struct image_archive *a, struct err *e);

/*
 * Opens image `i` of the archive, counted from 0. If its descriptor has several
 * platforms, the best one for the wanted platform is opened. Returns 0, or -1 and a
 * reason. The caller must release the image in both cases, and before the archive.
 */
int image_open_at(struct image *im, const struct image_archive *a, size_t i,
		  struct err *e);

/* Does nothing to a zeroed struct. */
void image_release(struct image *im);

/*
 * The image's manifest in an OCI image layout, and in *descriptor the descriptor that
 * index.json or a nested index has of it. Both are new references, or NULL if the archive
 * has no manifest with the image's configuration and number of layers.
 */
json_t *image_manifest(const struct image *im, json_t **descriptor);

/* Returns only the descriptor. */
json_t *image_descriptor(const struct image *im);

/*
 * Where the bytes of an uncompressed layer are. image_layer_open() uncompresses layer `i`
 * into a temporary file if necessary, which image_layer_close() closes. Returns 0, or -1
 * and a reason.
 */
struct image_bytes {
	int fd;
	bool is_own;
	off_t offset;
	uint64_t size;
};
int image_layer_open(const struct image *im, size_t i, struct image_bytes *b,
		     struct err *e);
void image_layer_close(struct image_bytes *b);

/*
 * Passes the uncompressed layer to see(arg, data, len, e), unless that is NULL, block by
 * block. Compares the layer's digest with its diff_id. see() returns 0, or -1 and a
 * reason. Returns 0, or -1 and a reason. After -1 the bytes that see() got are incomplete
 * or wrong.
 */
int image_layer_read(const struct image *im, size_t i, const struct image_bytes *b,
		     int (*see)(void *arg, const void *data, size_t len, struct err *e),
		     void *arg, struct err *e);

/*
 * All layers of an image, uncompressed and compared with their diff_ids on all cores
 * while the caller works. A blob that the image lists several times is uncompressed once.
 */
struct image_layers;

/*
 * Starts the work. Without `verify`, layers are uncompressed but not compared. `im` must
 * outlive the result. The caller must release the result.
 */
struct image_layers *image_layers_open(const struct image *im, bool verify);
void image_layers_release(struct image_layers *l);

/*
 * Waits until layer `i` is uncompressed, and sets `b` to where it is. `b` is valid until
 * the release. The layer may not have been compared yet. Returns 0, or -1 and a reason.
 */
int image_layers_get(struct image_layers *l, size_t i, struct image_bytes *b,
		     struct err *e);

/* Waits until all layers are compared. Returns 0, or -1 and a reason. */
int image_layers_check(struct image_layers *l, struct err *e);

/*
 * Checks that `config` is an image configuration. Sets *diff_ids to a new array of the
 * hex diff_ids of its layers, which the caller must free. Returns their number, or -1 and
 * a reason.
 */
int64_t image_diff_ids(const json_t *config, char (**diff_ids)[DIGEST_HEX + 1],
		       struct err *e);

#endif
