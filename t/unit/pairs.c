#include "registry/pairs.h"

#include "base/buf.h"
#include "base/err.h"
#include "image/manifest.h"

#include "tap.h"

/* Digests: of configurations, of blobs, and of uncompressed layers. */
#define HEX(x) x x x x x x x x x x x x x x x x
#define CONFIG HEX("c0f1")
#define BLOB1 HEX("b001")
#define BLOB2 HEX("b002")
#define BLOB3 HEX("b003")
#define LAYER1 HEX("1a01")
#define LAYER2 HEX("1a02")
#define LAYER3 HEX("1a03")

#define OCI "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."
#define GZIP OCI "layer.v1.tar+gzip"
#define ZSTD OCI "layer.v1.tar+zstd"
#define LAYER(type, hex, size) \
	"{\"mediaType\":\"" type "\",\"digest\":\"sha256:" hex "\",\"size\":" size "}"
#define DIFF_IDS(list)                                                                  \
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\"," \
	"\"diff_ids\":[" list "]}}"
#define ID(hex) "\"sha256:" hex "\""

/* Adds an image of these layers and this configuration. */
static void add(struct pairs *p, const char *layers, const char *config,
		enum pairs_place place)
{
	struct buf text = {0};
	struct manifest m;
	struct err e = {""};
	json_t *doc = config != NULL ? json_parse(config, strlen(config), "", &e) : NULL;

	buf_addf(&text,
		 "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" OCI
		 "config.v1+json\",\"digest\":\"sha256:" CONFIG
		 "\",\"size\":2},\"layers\":[%s]}",
		 layers);
	if (manifest_parse(&m, text.data, text.len, NULL, &e) < 0 ||
	    (doc == NULL) != (config == NULL)) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	pairs_add(p, &m, doc, place);
	json_decref(doc);
	manifest_release(&m);
	buf_release(&text);
}

/* The blob of a layer is `hex`, or NULL if it must be unknown. */
static void finds(const struct pairs *p, const char *diff_id, enum compress_format format,
		  const char *hex, const char *what)
{
	const struct pairs_blob *b = pairs_find(p, diff_id, format);

	tap_is(b != NULL ? b->hex : "none", hex != NULL ? hex : "none", what);
}

static void test_image(void)
{
	struct pairs p = {0};

	finds(&p, LAYER1, COMPRESS_GZIP, NULL, "nothing: no layer");
	tap_ok(!pairs_has_blob(&p, BLOB1) && !p.has_image, "nothing: no blob");
	add(&p, LAYER(GZIP, BLOB1, "11") "," LAYER(ZSTD, BLOB2, "22"),
	    DIFF_IDS(ID(LAYER1) "," ID(LAYER2)), PAIRS_IN_TAG);
	finds(&p, LAYER1, COMPRESS_GZIP, BLOB1, "the first layer");
	finds(&p, LAYER2, COMPRESS_ZSTD, BLOB2, "the second layer");
	finds(&p, LAYER1, COMPRESS_ZSTD, NULL, "the first one, in the other format");
	finds(&p, LAYER2, COMPRESS_GZIP, NULL, "the second one, in the other format");
	finds(&p, BLOB1, COMPRESS_GZIP, NULL, "a blob is no layer");
	tap_int((long long)pairs_find(&p, LAYER2, COMPRESS_ZSTD)->size, 22, "its size");
	tap_int(pairs_find(&p, LAYER2, COMPRESS_ZSTD)->place, PAIRS_IN_TAG, "its place");
	tap_ok(pairs_has_blob(&p, BLOB1) && pairs_has_blob(&p, BLOB2), "their blobs");
	tap_ok(pairs_has_blob(&p, CONFIG), "the configuration is a blob, too");
	tap_ok(!pairs_has_blob(&p, LAYER1), "a layer is no blob");
	tap_ok(p.has_image, "an image was added");

	add(&p, LAYER(GZIP, BLOB3, "33") "," LAYER(GZIP, BLOB2, "33"),
	    DIFF_IDS(ID(LAYER1) "," ID(LAYER3)), PAIRS_ELSEWHERE);
	finds(&p, LAYER1, COMPRESS_GZIP, BLOB1, "the first blob of a layer is kept");
	finds(&p, LAYER3, COMPRESS_GZIP, BLOB2, "a layer of another repository");
	tap_int(pairs_find(&p, LAYER3, COMPRESS_GZIP)->place, PAIRS_ELSEWHERE,
		"its place");
	tap_ok(!pairs_has_blob(&p, BLOB3), "its blobs are not in the tag");
	pairs_release(&p);
	finds(&p, LAYER1, COMPRESS_GZIP, NULL, "released: no layer");
}

/* Documents that do not match, and blobs that cannot be used. */
static void test_wrong(void)
{
	static const char two[] = LAYER(GZIP, BLOB1, "11") "," LAYER(GZIP, BLOB2, "22");
	static const char *const configs[] = {
	    NULL,
	    "[]",
	    "{}",
	    "{\"rootfs\":{\"diff_ids\":[]}}",
	    DIFF_IDS(""),
	    DIFF_IDS(ID(LAYER1)),
	    DIFF_IDS(ID(LAYER1) "," ID(LAYER2) "," ID(LAYER3)),
	    DIFF_IDS(ID(LAYER1) ",\"sha512:" LAYER2 "\""),
	    DIFF_IDS(ID(LAYER1) ",7"),
	};

	for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
		struct pairs p = {0};
		add(&p, two, configs[i], PAIRS_IN_TAG);
		finds(&p, LAYER1, COMPRESS_GZIP, NULL,
		      configs[i] != NULL ? configs[i] : "no configuration");
		tap_ok(!pairs_has_blob(&p, BLOB1) && !pairs_has_blob(&p, CONFIG) &&
			   !p.has_image,
		       "it is ignored");
		pairs_release(&p);
	}
}

static void test_types(void)
{
	struct pairs p = {0};

	add(&p,
	    LAYER(OCI "layer.v1.tar", BLOB1, "1") "," LAYER(
		DOCKER "image.rootfs.diff.tar.gzip", BLOB2,
		"2") ",{\"mediaType\":\"" DOCKER
		     "image.rootfs.foreign.diff.tar.gzip\",\"digest\":\"sha256:" BLOB3
		     "\",\"size\":3,\"urls\":[\"https://example.org/3\"]}",
	    DIFF_IDS(ID(LAYER1) "," ID(LAYER2) "," ID(LAYER3)), PAIRS_IN_TAG);
	finds(&p, LAYER1, COMPRESS_GZIP, NULL, "an uncompressed layer");
	finds(&p, LAYER1, COMPRESS_NONE, NULL,
	      "an uncompressed layer, whatever is asked");
	tap_ok(pairs_has_blob(&p, BLOB1), "an uncompressed layer is a blob");
	finds(&p, LAYER2, COMPRESS_GZIP, BLOB2, "Docker's media type");
	finds(&p, LAYER3, COMPRESS_GZIP, NULL, "a layer at another place");
	tap_ok(!pairs_has_blob(&p, BLOB3),
	       "a layer at another place: the repository may lack its blob");
	tap_ok(p.has_image, "an image with such layers is an image");
	pairs_release(&p);

	add(&p, LAYER(GZIP, BLOB1, "1") "," LAYER(GZIP, BLOB2, "2"),
	    DIFF_IDS(ID(LAYER1) "," ID(LAYER1)), PAIRS_IN_REPOSITORY);
	finds(&p, LAYER1, COMPRESS_GZIP, BLOB1, "a layer twice: the first blob");
	tap_ok(!p.has_image, "an image of another tag is not the tag's");
	pairs_release(&p);
}

int main(void)
{
	test_image();
	test_wrong();
	test_types();
	return tap_done();
}
