#include "registry/fetch.h"

#include "base/buf.h"
#include "base/cache.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/progress.h"
#include "registry/fetch-private.h"
#include "registry/registry.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- downloads --- */

/* Discards the bytes received so far. */
static int restart(void *arg, struct err *e)
{
	struct incoming *in = arg;
	char unused[DIGEST_HEX + 1];

	digest_hex(&in->digest, unused);
	return blobs_restart(&in->part, e);
}

static int take(void *arg, const void *data, size_t len, struct err *e)
{
	struct incoming *in = arg;

	digest_update(&in->digest, data, len);
	if (blobs_write(&in->part, data, len, e) < 0)
		return -1;
	in->came += len;
	progress_add(in->task, FETCH_DOWNLOAD, len);
	if (in->f->came != NULL)
		in->f->came(in->f->arg, len);
	return 0;
}

int64_t fetch_hash(struct digest *digest, int fd, struct err *e)
{
	int64_t size = digest_add_file(digest, fd, 0, INT64_MAX);

	if (size < 0 || lseek(fd, size, SEEK_SET) < 0)
		return err_set_errno(e, "cannot access the file of a blob");
	return size;
}

/* Asks the registry, then the URLs in the layer's descriptor. */
static int get(struct incoming *in, struct http_request *q, struct err *e)
{
	char what[DIGEST_REFERENCE];
	struct registry *r = in->f->registry;

	digest_reference(in->b->hex, what);
	int result = registry_get(r, in->kind, what, q, in->type, e);
	for (size_t i = 0; result < 0 && i < json_array_size(in->b->urls); i++) {
		const char *url = json_string_value(json_array_get(in->b->urls, i));
		if (url != NULL)
			result = registry_get_url(r, url, q, e);
	}
	return result;
}

/* Downloads the rest of the part. Returns 1 if the part is the blob, 0 if not, or -1. */
static int fill(struct incoming *in, bool *has_size, struct err *e)
{
	char hex[DIGEST_HEX + 1];
	struct http_request q = {
	    .accept = strcmp(in->kind, "manifests") == 0 ? manifest_types : NULL,
	    .have = in->part.have,
	    .limit = in->limit,
	    .restart = restart,
	    .take = take,
	    .arg = in,
	};

	if (q.have < in->b->size && get(in, &q, e) < 0)
		return -1;
	digest_hex(&in->digest, hex);
	*has_size = in->b->size == UINT64_MAX || q.have == in->b->size;
	return *has_size && digest_is_same(hex, in->b->hex);
}

/*
 * Downloads the blob. If the part held other bytes from an earlier download, starts
 * again.
 */
static int download(struct incoming *in, struct err *e)
{
	bool has_size;
	int64_t have = fetch_hash(&in->digest, in->part.fd, e);

	in->part.have = have >= 0 ? (uint64_t)have : 0;
	if ((have < 0 || in->part.have > in->limit) && restart(in, e) < 0)
		return -1;
	for (bool is_left = in->part.have > 0;; is_left = false) {
		progress_set(in->task, FETCH_DOWNLOAD, in->part.have);
		progress_step(in->task, FETCH_DOWNLOAD, in->b->size);
		int result = fill(in, &has_size, e);
		if (result != 0)
			return result < 0 ? -1 : 0;
		if (blobs_restart(&in->part, e) < 0)
			return -1;
		if (!is_left)
			return err_set(e, "sha256:%s: the downloaded data has %s",
				       in->b->hex,
				       has_size ? "another digest" : "another size");
	}
}

/* Reports where the blob comes from. */
static void report(const struct incoming *in, const char *from)
{
	bool is_manifest = strcmp(in->kind, "manifests") == 0;

	inform("%s sha256:%s: %s", is_manifest ? "manifest" : "blob", in->b->hex, from);
}

/* Reports a download that began at this time. */
static void report_download(const struct incoming *in, double begun)
{
	char text[160];
	const char *why = in->f->cache->dir == NULL ? "the cache is off"
			  : in->came < in->part.have
			      ? "the cache has an incomplete download"
			      : "it is not in the cache";

	snprintf(text, sizeof text, "downloaded, %.1f MB in %.1f s: %s",
		 (double)in->came / 1e6, clock_now() - begun, why);
	report(in, text);
}

int fetch_open(struct incoming *in, bool *is_cached, struct err *e)
{
	const struct cache *cache = in->f->cache;
	const char *hex = in->b->hex;
	int fd = blobs_open(cache, hex);

	in->came = 0;
	*is_cached = true;
	if (fd >= 0) {
		report(in, "from the cache");
		return fd;
	}
	int begun = blobs_begin(cache, hex, in->limit, in->f->patience, &in->part, e);
	if (begun < 0)
		return -1;
	if (begun == 0) {
		report(in, "from the cache, downloaded by another process just now");
		return in->part.fd;
	}
	*is_cached = false;
	double start = clock_now();
	digest_init(&in->digest);
	bool is_complete = download(in, e) == 0;
	if (is_complete)
		report_download(in, start);
	fd = is_complete ? blobs_finish(&in->part) : -1;
	if (fd < 0)
		blobs_leave(&in->part);
	digest_release(&in->digest);
	return fd;
}

/* --- documents --- */

int fetch_document(const struct fetch *f, const char *kind, const char *hex,
		   struct buf *out, char *type, struct err *e)
{
	struct manifest_blob b = {.size = UINT64_MAX};
	struct incoming in = {
	    .f = f, .b = &b, .kind = kind, .limit = JSON_LIMIT, .type = type};
	char found[DIGEST_HEX + 1];
	bool is_cached;

	memcpy(b.hex, hex, sizeof b.hex);
	for (;;) {
		*type = '\0';
		int fd = fetch_open(&in, &is_cached, e);
		if (fd < 0)
			return -1;
		buf_clear(out);
		int result =
		    lseek(fd, 0, SEEK_SET) < 0 ? -1 : io_slurp(fd, out, JSON_LIMIT);
		close(fd);
		if (result == 0) {
			digest_of(out->data, out->len, found);
			if (digest_is_same(found, hex))
				return 0;
		}
		if (!is_cached)
			return err_set(e, "sha256:%s: its file cannot be read", hex);
		blobs_forget(f->cache, hex);
	}
}

int fetch_tagged(const struct fetch *f, const char *tag, struct buf *out, char *type,
		 char hex[DIGEST_HEX + 1], struct err *e)
{
	struct http_request q = {.accept = manifest_types};

	http_into(&q, out, JSON_LIMIT);
	if (registry_get(f->registry, "manifests", tag, &q, type, e) < 0)
		return -1;
	digest_of(out->data, out->len, hex);
	return 0;
}
