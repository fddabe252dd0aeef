#include "registry/referrers.h"

#include "base/buf.h"
#include "base/err.h"
#include "image/manifest.h"

#include "tap.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define INDEX "application/vnd.oci.image.index.v1+json"

static json_t *parse(const char *text, struct err *e)
{
	struct buf b = {0};

	buf_addstr(&b, text);
	json_t *list = referrers_read(&b, e);
	buf_release(&b);
	return list;
}

static void refuses(const char *text, const char *why, const char *what)
{
	struct err e = {""};
	json_t *list = parse(text, &e);

	tap_ok(list == NULL, what);
	tap_is(e.text, why, "it says so");
	json_decref(list);
}

/* Adds a manifest with this digest. */
static bool add(json_t *list, const char *hex, uint64_t size)
{
	json_t *d = manifest_descriptor("x/y", hex, size);
	bool is_added = referrers_add(list, d);

	json_decref(d);
	return is_added;
}

/* The list becomes this text. */
static void is(const json_t *list, const char *want, const char *what)
{
	struct buf b = {0};

	json_write(list, &b);
	tap_is(b.data, want, what);
	buf_release(&b);
}

static void test_new(void)
{
	json_t *list = referrers_new();

	is(list, "{\"schemaVersion\":2,\"mediaType\":\"" INDEX "\",\"manifests\":[]}",
	   "an empty list");
	tap_ok(add(list, A, 1), "a document is added");
	tap_ok(!add(list, A, 1), "the same one is not added again");
	tap_ok(!add(list, A, 2), "the digest identifies it");
	tap_ok(add(list, B, 1), "another one is added");
	is(list,
	   "{\"schemaVersion\":2,\"mediaType\":\"" INDEX "\",\"manifests\":["
	   "{\"mediaType\":\"x/y\",\"digest\":\"sha256:" A "\",\"size\":1},"
	   "{\"mediaType\":\"x/y\",\"digest\":\"sha256:" B "\",\"size\":1}]}",
	   "both are in the list, in this order");
	json_decref(list);
}

/* Entries and keys of other clients stay. */
static void test_others(void)
{
	struct err e;
	json_t *list = parse("{\"schemaVersion\":2,\"x\":[1],\"manifests\":["
			     "7,null,{},{\"digest\":5},{\"digest\":\"sha512:x\"},"
			     "{\"digest\":\"sha256:" A "\",\"y\":1.5}]}",
			     &e);

	tap_ok(list != NULL, "a list without a media type, and odd entries");
	tap_ok(!add(list, A, 1), "an entry is found behind odd ones");
	tap_ok(add(list, B, 1), "another one is added");
	is(list,
	   "{\"schemaVersion\":2,\"x\":[1],\"manifests\":["
	   "7,null,{},{\"digest\":5},{\"digest\":\"sha512:x\"},"
	   "{\"digest\":\"sha256:" A "\",\"y\":1.5},"
	   "{\"mediaType\":\"x/y\",\"digest\":\"sha256:" B "\",\"size\":1}]}",
	   "the others stay");
	json_decref(list);
}

int main(void)
{
	char tag[REFERRERS_TAG];

	referrers_tag(A, tag);
	tap_is(tag, "sha256-" A, "the tag");
	test_new();
	test_others();
	refuses("{\"schemaVersion\":2,\"manifests\":{}}",
		"neither a manifest nor an index of images", "an object of entries");
	refuses("{\"schemaVersion\":2,\"manifests\":[],\"mediaType\":"
		"\"application/vnd.docker.distribution.manifest.list.v2+json\"}",
		"not an OCI index", "a list of Docker's type");
	refuses("{\"schemaVersion\":2,\"layers\":[],\"config\":{\"mediaType\":"
		"\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:" A
		"\",\"size\":2}}",
		"not an OCI index", "a manifest");
	refuses("{\"manifests\":[]}", "not a manifest of schema 2", "no schema");
	tap_ok(parse("", &(struct err){""}) == NULL, "nothing");
	tap_ok(parse("[]", &(struct err){""}) == NULL, "an array");
	return tap_done();
}
