/*
 * image: reading the image archives that any tool wrote.
 *
 * Docker's archives (`docker save`: manifest.json, layers as ID/layer.tar or in blobs/)
 * and OCI image layouts (index.json), in a tar or in a directory; compressed or not,
 *their layers too. Everything in them is checked: sizes are bounded, digests compared. In
 *all that follows, a directory counts as an archive.
 *
 * An archive may hold several images, and one image may be there for several platforms.
 * `struct image_choice` says which of them is meant. Every tool that reads an image has
 * the same options for it:
 *
 *	static const struct opt option_table[] = {IMAGE_OPTIONS, {0}};
 *	image_choice_init(&choice);
 *	while ((key = opt_next(argc, argv, &tool)) != -1)
 *		if (!image_choice_option(&choice, key, optarg))
 *			...
 *	if (image_open(&im, &choice, &why) < 0)
 *		die("%s", why.text);
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

/* --- which image --- */

struct image_choice {
	const char *from;         /* the archive or directory; "-": stdin; NULL: none */
	const char *name, *tag;   /* exactly this one; NULL: any */
	struct platform platform; /* this machine's, unless an option says otherwise */
	const char *os;
	bool has_arch, has_os; /* an option says it */
};

/* The keys of its options. The keys of the tools' own options are lower. */
enum {
	IMAGE_OPT_FROM = 100,
	IMAGE_OPT_NAME,
	IMAGE_OPT_TAG,
	IMAGE_OPT_ARCH,
	IMAGE_OPT_OS,
	IMAGE_OPT_MAX_UNPACKED
};

/* Rows of a tool's table of options. A tool with an option --from has a row for it. */
/* clang-format off */
#define IMAGE_OPTIONS_NAME \
	{IMAGE_OPT_NAME, "from-name", "NAME", "of the images in it, the one of this name"}, \
	{IMAGE_OPT_TAG, "from-tag", "TAG", "of the images in it, the one of this tag"}, \
	{IMAGE_OPT_MAX_UNPACKED, "max-unpacked", "SIZE", \
	 "unpack at most this many bytes; K, M, G or T may follow (256G)"}
#define IMAGE_OPTIONS \
	IMAGE_OPTIONS_NAME, \
	{IMAGE_OPT_ARCH, "arch", "ARCH", "of its platforms, this architecture (this machine's)"}, \
	{IMAGE_OPT_OS, "os", "OS", "and this operating system (linux)"}
/* clang-format on */

/* Any image for Linux on this machine's architecture. */
void image_choice_init(struct image_choice *c);

/*
 * Takes an option. Returns false if its key is none of those above; ends the process if
 * the value is wrong. That of --max-unpacked is not of the choice: it counts for the
 * process, see unpack_limit().
 */
bool image_choice_option(struct image_choice *c, int key, const char *value);

/* Whether no option chose an image, apart from --from. */
bool image_choice_is_empty(const struct image_choice *c);

/* --- images --- */

struct image_layer {
	char diff_id[DIGEST_HEX + 1];
	const struct unpack_place *place;
};

enum { IMAGE_MAX = 4096 }; /* images in an archive */

/* An archive, and the images in it. */
struct image_archive {
	struct unpack_index index;
	const char *file; /* what messages call it; kept, not copied */
	const struct image_choice *choice;
	json_t *images;       /* an array: entries of manifest.json, or OCI descriptors */
	bool is_oci;          /* they are those of index.json */
	json_t *docker, *oci; /* all entries of both documents, or NULL */
	bool is_several; /* it has a manifest.json, but index.json has more platforms */
};

/*
 * Opens the archive `file` ("-": standard input) for the platform of the choice, whose
 * name and tag are ignored; both must outlive it. The images are those of manifest.json.
 * They are those of index.json if there is no manifest.json, or if an option chose a
 * platform and index.json has several. An image of index.json that is for another
 * platform is ignored if one for this platform has the same name, or also lacks one.
 * Returns 0, or -1 and why not; in either case the caller releases it.
 */
int image_archive_open(struct image_archive *a, const char *file,
		       const struct image_choice *choice, struct err *e);

/* A zeroed struct is a no-op. */
void image_archive_release(struct image_archive *a);

/* Has the images be those of index.json, or else of manifest.json, which must be there.
 */
void image_archive_use(struct image_archive *a, bool is_oci);

/* Whether these OCI descriptors, and those in indexes below, are of several platforms. */
bool image_archive_has_platforms(const struct image_archive *a, const json_t *list);

/* The references of an entry of a->images, a new array. */
json_t *image_archive_tags(const struct image_archive *a, const json_t *entry);

/*
 * The JSON document `member`, whose bytes are appended to `text`. `hex` is what its
 * digest must be, or NULL. Returns NULL and why not.
 */
json_t *image_archive_text(const struct image_archive *a, const char *member,
			   const char *hex, struct buf *text, struct err *e);

/* The same of the document to which a descriptor points. */
json_t *image_archive_blob(const struct image_archive *a, const json_t *descriptor,
			   struct buf *text, struct err *e);

/*
 * The manifest to which a descriptor points; if it points to an index, that of the best
 * image for the platform. Returns NULL and why not.
 */
json_t *image_archive_manifest(const struct image_archive *a, const json_t *descriptor,
			       struct err *e);

/* One image of an archive. */
struct image {
	const struct image_archive *archive;
	struct image_archive *own; /* what image_open() opened, else NULL */
	const char *file;          /* the archive's */
	char id[DIGEST_HEX + 1];   /* the digest of the configuration's bytes */
	struct buf text;           /* these bytes */
	json_t *config;            /* the image configuration, an object */
	json_t *tags;              /* its references, an array of strings */
	struct image_layer *layer; /* bottom layer first */
	size_t n;
};

/*
 * Opens an archive and the first image in it that has the name and tag of the choice; if
 * there are several platforms of it, the best one for the platform of the choice. An
 * image of manifest.json will do for any platform if index.json has it for one only, or
 * if no option chose a platform and there is none for this machine. Returns 0, or -1 and
 * why not; in either case the caller releases it. `choice` must outlive the image.
 */
int image_open(struct image *im, const struct image_choice *choice, struct err *e);

/*
 * Opens number `i` of the archive's images, counted from 0; of a descriptor of several
 * platforms, the best one for the platform. Returns 0, or -1 and why not; in either case
 * the caller releases it, before the archive.
 */
int image_open_at(struct image *im, const struct image_archive *a, size_t i,
		  struct err *e);

/* A zeroed struct is a no-op. */
void image_release(struct image *im);

/*
 * How many bytes layer `i` has uncompressed. Uncompresses it into a temporary file if
 * need be, which stays open until the next layer is asked for. Returns 0, or -1 and why.
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
 * Writes the uncompressed layer to `out`, or nowhere if that is -1, and compares it with
 * its diff_id on the way. Returns 0, or -1 and why not, when what was written must not
 * pass for whole.
 */
int image_layer_write(const struct image *im, size_t i, const struct image_bytes *b,
		      int out, struct err *e);

/*
 * All layers at once: uncompressed, and compared with their diff_ids, on all cores while
 * the caller goes on. A blob that is listed several times is uncompressed once.
 */
struct image_layers;

/* `im` must outlive the result, which the caller releases. Without `verify`, layers are
 * only uncompressed. */
struct image_layers *image_layers_open(const struct image *im, bool verify);
void image_layers_release(struct image_layers *l);

/*
 * Where layer `i` lies uncompressed, until the release; waits for that if need be. It may
 * not have been compared yet. Returns 0, or -1 and why not.
 */
int image_layers_get(struct image_layers *l, size_t i, struct image_bytes *b,
		     struct err *e);

/* Waits for all layers to be compared. Returns 0, or -1 and what is wrong with one. */
int image_layers_check(struct image_layers *l, struct err *e);

/*
 * Checks that `config` is an image configuration and writes the hex diff_ids of its
 * layers to a new array, which the caller frees. Returns how many, or -1 and why not.
 */
int64_t image_diff_ids(const json_t *config, char (**diff_ids)[DIGEST_HEX + 1],
		       struct err *e);

#endif
