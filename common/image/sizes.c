#include "image/sizes.h"

#include "archive/path.h"
#include "archive/unpack.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strset.h"
#include "base/utf8.h"
#include "image/image.h"
#include "image/manifest.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 1 << 17, NAME_BYTES_MAX = 32 << 20 };

/* Sums by name. */
struct sums {
	struct strset names;
	uint64_t *sum; /* of each name */
	size_t cap;
};

/* The sums of a layer or of an image. */
struct account {
	uint64_t files;
	struct sums directories, store_paths;
};

/* The sizes of a layer itself, as far as they are known. */
struct known {
	bool has_tar, has_blob;
	uint64_t tar, blob; /* sizes in bytes */
};

struct work {
	const struct image *im;
	struct account total;
	struct known known; /* the sums of all layers */
	bool is_complete;   /* no layer is absent */
	size_t names, name_bytes;
	struct buf path; /* of the current member, with a leading slash */
	struct buf clean;
};

/* --- sums --- */

static void sums_release(struct sums *s)
{
	strset_release(&s->names);
	free(s->sum);
}

static void account_release(struct account *a)
{
	sums_release(&a->directories);
	sums_release(&a->store_paths);
}

static int add(uint64_t *sum, uint64_t size, struct err *e)
{
	if (size > INT64_MAX - *sum)
		return err_set(e, "the sizes add up to more than %lld bytes",
			       (long long)INT64_MAX);
	*sum += size;
	return 0;
}

static int add_to(struct work *w, struct sums *s, const char *name, size_t len,
		  uint64_t size, struct err *e)
{
	size_t before = s->names.n;
	uint32_t i = strset_add(&s->names, name, len);

	if (s->names.n > before) {
		s->sum = mem_grow(s->sum, &s->cap, s->names.n, sizeof *s->sum);
		s->sum[i] = 0;
		w->names++;
		w->name_bytes += len;
	}
	if (w->names > NAMES_MAX || w->name_bytes > NAME_BYTES_MAX)
		return err_set(e, "more than %d store paths and names at the root",
			       NAMES_MAX);
	return add(&s->sum[i], size, e);
}

static int add_sums(struct work *w, struct sums *to, const struct sums *from,
		    struct err *e)
{
	int result = 0;

	for (size_t i = 0; i < from->names.n && result == 0; i++)
		result = add_to(w, to, from->names.name[i], strlen(from->names.name[i]),
				from->sum[i], e);
	return result;
}

/* --- a layer --- */

static int add_member(struct work *w, struct account *a, const struct unpack_member *m,
		      struct err *e)
{
	struct store any = {0};

	path_clean(m->name, &w->clean);
	buf_clear(&w->path);
	buf_addf(&w->path, "/%s", w->clean.data);
	if (w->clean.len == 0 || strstr(w->path.data, "/.wh.") != NULL)
		return 0; /* the root, or a whiteout */
	size_t top = 1 + strcspn(w->path.data + 1, "/");
	size_t part = store_adopt(&any, w->path.data, w->path.len);
	free(any.dir);
	if (add(&a->files, m->size, e) < 0 ||
	    add_to(w, &a->directories, w->path.data, top, m->size, e) < 0)
		return -1;
	return part == 0 ? 0 : add_to(w, &a->store_paths, w->path.data, part, m->size, e);
}

static int add_members(struct work *w, struct account *a, const struct image_bytes *b,
		       const char *what, struct err *e)
{
	struct unpack_stream *s = unpack_layer_new(b->fd, b->offset, b->size, what);
	struct unpack_member m;
	int more;

	while ((more = unpack_next(s, &m, e)) > 0) {
		if (add_member(w, a, &m, e) < 0) {
			more = err_prefix(e, "%s", what);
			break;
		}
	}
	unpack_stream_release(s);
	return more;
}

static int read_layer(struct work *w, size_t i, struct account *a, struct known *k,
		      struct err *e)
{
	struct image_bytes bytes;
	struct buf what = {0};

	if (image_layer_open(w->im, i, &bytes, e) < 0)
		return -1;
	buf_addf(&what, "%s: layer %zu", w->im->file, i + 1);
	k->has_tar = k->has_blob = true;
	k->tar = bytes.size;
	k->blob = w->im->layer[i].place->size;
	int result = add_members(w, a, &bytes, what.data, e);
	image_layer_close(&bytes);
	buf_release(&what);
	return result;
}

/*
 * The sizes of an absent layer, from its descriptor. That of an uncompressed layer has
 * the size that was in the stub.
 */
static void read_descriptor(const struct work *w, size_t i, const json_t *descriptor,
			    struct known *k)
{
	struct manifest_blob blob;
	struct err unused;

	if (descriptor == NULL || manifest_read(descriptor, &blob, &unused) < 0 ||
	    blob.size > INT64_MAX)
		return;
	k->has_blob = true;
	k->blob = blob.size;
	k->has_tar = strcmp(blob.hex, w->im->layer[i].diff_id) == 0;
	k->tar = blob.size;
}

/*
 * --- JSON ---
 *
 * It is written as text, because the values of a JSON library take much more memory.
 */

static void write_size(const char *key, bool is_known, uint64_t size, struct buf *out)
{
	if (is_known)
		buf_addf(out, "\"%s\":%" PRIu64 ",", key, size);
	else
		buf_addf(out, "\"%s\":null,", key);
}

static void write_string(const char *text, struct buf *out)
{
	json_t *string = json_string(text);

	json_write(string, out);
	json_decref(string);
}

/* A name need not be UTF-8, but a string of JSON must be. */
static void write_name(const char *name, struct buf *out)
{
	size_t len = strlen(name), size = 4 * len + 1;

	if (utf8_is_valid(name, len)) {
		write_string(name, out);
		return;
	}
	char *text = mem_zero(1, size);
	err_escape(text, size, name);
	write_string(text, out);
	free(text);
}

static int compare(const void *a, const void *b, void *names)
{
	char **name = names;

	return strcmp(name[*(const uint32_t *)a], name[*(const uint32_t *)b]);
}

static void write_sums(const char *key, const struct sums *s, struct buf *out)
{
	uint32_t *order = mem_zero(s->names.n, sizeof *order);

	buf_addf(out, "\"%s\":[", key);
	for (size_t i = 0; i < s->names.n; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, s->names.n, sizeof *order, compare, s->names.name);
	for (size_t i = 0; i < s->names.n; i++) {
		buf_addstr(out, i > 0 ? ",{\"path\":" : "{\"path\":");
		write_name(s->names.name[order[i]], out);
		buf_addf(out, ",\"files\":%" PRIu64 "}", s->sum[order[i]]);
	}
	buf_addch(out, ']');
	free(order);
}

/* Writes all keys that a layer and an image have. `a` is NULL if nothing is known. */
static void write_sizes(const struct known *k, bool has_files, const struct account *a,
			struct buf *out)
{
	write_size("tar", k->has_tar, k->tar, out);
	write_size("blob", k->has_blob, k->blob, out);
	write_size("files", has_files, a != NULL ? a->files : 0, out);
	if (a == NULL) {
		buf_addstr(out, "\"directories\":null,\"storePaths\":null");
		return;
	}
	write_sums("directories", &a->directories, out);
	buf_addch(out, ',');
	write_sums("storePaths", &a->store_paths, out);
}

/* Adds layer `i` to the sums of the image, and its object to `out`. */
static int add_layer(struct work *w, size_t i, const json_t *descriptor, struct buf *out,
		     struct err *e)
{
	bool is_here = w->im->layer[i].place != NULL;
	struct account a = {0};
	struct known k = {0}, *sum = &w->known;
	int result = 0;

	if (is_here)
		result = read_layer(w, i, &a, &k, e);
	else
		read_descriptor(w, i, descriptor, &k);
	if (result == 0 &&
	    (add(&w->total.files, a.files, e) < 0 || add(&sum->tar, k.tar, e) < 0 ||
	     add(&sum->blob, k.blob, e) < 0 ||
	     add_sums(w, &w->total.directories, &a.directories, e) < 0 ||
	     add_sums(w, &w->total.store_paths, &a.store_paths, e) < 0))
		result = err_prefix(e, "%s", w->im->file);
	sum->has_tar = sum->has_tar && k.has_tar;
	sum->has_blob = sum->has_blob && k.has_blob;
	w->is_complete = w->is_complete && is_here;
	buf_addf(out, "%s{\"diff_id\":\"sha256:%s\",", i > 0 ? "," : "",
		 w->im->layer[i].diff_id);
	write_sizes(&k, is_here, is_here ? &a : NULL, out);
	buf_addch(out, '}');
	account_release(&a);
	return result;
}

int sizes_write(const struct image *im, struct buf *out, struct err *e)
{
	struct work w = {.im = im, .known = {true, true, 0, 0}, .is_complete = true};
	json_t *descriptor, *manifest = image_manifest(im, &descriptor);
	const json_t *blobs = json_object_get(manifest, "layers");
	struct buf layers = {0};
	int result = 0;

	for (size_t i = 0; i < im->n && result == 0; i++)
		result = add_layer(&w, i, json_array_get(blobs, i), &layers, e);
	if (result == 0) {
		buf_addstr(out, "{\"repoTags\":");
		json_write(im->tags, out);
		buf_addf(out, ",\"config\":\"sha256:%s\",", im->id);
		write_sizes(&w.known, w.is_complete, &w.total, out);
		buf_addstr(out, ",\"layers\":[");
		buf_add(out, layers.data, layers.len);
		buf_addstr(out, "]}");
	}
	account_release(&w.total);
	buf_release(&w.path);
	buf_release(&w.clean);
	buf_release(&layers);
	json_decref(descriptor);
	json_decref(manifest);
	return result;
}
