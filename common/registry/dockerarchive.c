#include "registry/dockerarchive.h"

#include "archive/tar.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"

#include <string.h>
#include <unistd.h>

static const char mark[2 * TAR_BLOCK];

void dockerarchive_init(struct dockerarchive *a, int fd, bool is_hashed)
{
	*a = (struct dockerarchive){.fd = fd, .is_hashed = is_hashed};
	digest_init(&a->digest);
}

void dockerarchive_release(struct dockerarchive *a)
{
	digest_release(&a->digest);
	strset_release(&a->layer);
}

/* --- entries --- */

static void put(struct dockerarchive *a, const void *data, size_t len)
{
	if (a->is_hashed)
		digest_update(&a->digest, data, len);
	if (a->fd >= 0 && io_write(a->fd, data, len) < 0)
		die_errno("%s", io_output());
}

static void put_header(struct dockerarchive *a, const char *name, uint64_t size,
		       const char *link)
{
	struct buf header = {0};
	const struct tar_member m = {
	    .name = name,
	    .link = link,
	    .type = link != NULL ? TAR_SYMLINK : TAR_FILE,
	    .mode = link != NULL ? 0 : 0444,
	    .size = size,
	    .dialect = TAR_GO,
	};

	tar_header(&header, &m);
	put(a, header.data, header.len);
	buf_release(&header);
}

static void put_text(struct dockerarchive *a, const char *name, const struct buf *text)
{
	put_header(a, name, text->len, NULL);
	put(a, text->data, text->len);
	dockerarchive_pad(a, text->len);
}

static void copy_hashed(struct dockerarchive *a, int layer, off_t at, uint64_t left)
{
	char block[65536];

	while (left > 0) {
		size_t want = left < sizeof block ? (size_t)left : sizeof block;
		ssize_t n = io_pread(layer, block, want, at);
		if (n <= 0)
			die("a temporary file cannot be read");
		put(a, block, (size_t)n);
		at += n;
		left -= (uint64_t)n;
	}
}

bool dockerarchive_begin(struct dockerarchive *a, const char *diff_id, uint64_t size)
{
	struct buf name = {0};
	size_t before = a->layer.n;

	strset_add(&a->layer, diff_id, DIGEST_HEX);
	if (a->layer.n == before)
		return false;
	buf_addf(&name, "%s.tar", diff_id);
	put_header(a, name.data, size, NULL);
	buf_release(&name);
	return true;
}

void dockerarchive_data(struct dockerarchive *a, const void *data, size_t len)
{
	put(a, data, len);
}

void dockerarchive_pad(struct dockerarchive *a, uint64_t size)
{
	put(a, mark, tar_padding(size));
}

void dockerarchive_layer(struct dockerarchive *a, const char *diff_id, int layer,
			 off_t offset, uint64_t size)
{
	if (!dockerarchive_begin(a, diff_id, size))
		return;
	if (a->is_hashed) {
		copy_hashed(a, layer, offset, size);
	} else {
		int64_t n = io_copy(layer, &offset, a->fd, size);
		if (n < 0)
			die_errno("%s", io_output());
		if ((uint64_t)n != size)
			die("a temporary file was truncated");
	}
	dockerarchive_pad(a, size);
}

/* --- documents, encoded as by Go's encoding/json --- */

/*
 * Appends a valid JSON value without blanks. Escapes the characters that Go escapes: < >
 * & U+2028 U+2029. Everything else keeps its spelling.
 */
static void compact(struct buf *out, const char *p, const char *end)
{
	bool in_string = false;

	for (; p < end; p++) {
		bool is_line = end - p > 2 && memcmp(p, "\xe2\x80", 2) == 0 &&
			       ((unsigned char)p[2] & 0xfe) == 0xa8;
		if (strchr("<>&", *p) != NULL && *p != '\0') {
			buf_addf(out, "\\u00%02x", (unsigned)*p);
		} else if (is_line) {
			buf_addf(out, "\\u202%d", p[2] & 1 ? 9 : 8);
			p += 2;
		} else if (in_string || strchr(" \t\r\n", *p) == NULL) {
			buf_addch(out, *p);
		}
		if (in_string && *p == '\\')
			buf_addch(out, *++p);
		else if (*p == '"')
			in_string = !in_string;
	}
}

static const char *skip(const char *p, const char *end, const char *what)
{
	while (p < end && strchr(what, *p) != NULL)
		p++;
	return p;
}

/* Appends the value of `key` in the object `doc` with its own spelling, or null. */
static int add_value(struct buf *out, const struct buf *doc, const char *key,
		     struct err *e)
{
	const char *end = doc->data + doc->len;
	const char *p = skip(doc->data, end, " \t\r\n{");
	size_t len = strlen(key);

	while (p < end && *p == '"') {
		const char *name = p + 1;
		const char *after = json_value_end(p, (size_t)(end - p));
		const char *value = after != NULL ? skip(after, end, " \t\r\n:") : end;
		p = value < end ? json_value_end(value, (size_t)(end - value)) : NULL;
		if (p == NULL)
			return err_set(e, "the configuration is not a JSON object");
		if (after == name + len + 1 && memcmp(name, key, len) == 0) {
			compact(out, value, p);
			return 0;
		}
		p = skip(p, end, " \t\r\n,");
	}
	buf_addstr(out, "null");
	return 0;
}

/*
 * The keys that the top layer's legacy document copies from the configuration, in order.
 */
static const char *const inherited[] = {
    "architecture", "config",         "container", "container_config",
    "created",      "docker_version", "id",        "layer_id",
    "os",           "parent"};

static void add_key(struct buf *out, const char *key)
{
	buf_addf(out, "%c\"%s\":", out->len == 0 ? '{' : ',', key);
}

/*
 * Makes the legacy document of a layer. `config` is NULL for all layers but the top one.
 */
static int legacy(struct buf *out, const struct buf *config, const char *chain_id,
		  const char *id, const char *parent, struct err *e)
{
	buf_clear(out);
	for (size_t i = 0; i < sizeof inherited / sizeof *inherited; i++) {
		const char *key = inherited[i], *own = NULL, *prefix = "";
		bool is_own = true;
		if (strcmp(key, "id") == 0) {
			own = id;
		} else if (strcmp(key, "layer_id") == 0) {
			own = chain_id;
			prefix = "sha256:";
		} else if (strcmp(key, "parent") == 0) {
			own = parent;
		} else {
			is_own = false;
		}
		if (own != NULL) {
			add_key(out, key);
			buf_addf(out, "\"%s%s\"", prefix, own);
		} else if (!is_own && config != NULL) {
			add_key(out, key);
			if (add_value(out, config, key, e) < 0)
				return -1;
		}
	}
	buf_addch(out, '}');
	return 0;
}

static void put_legacy(struct dockerarchive *a, const char *id, const char *diff_id,
		       const struct buf *json)
{
	struct buf name = {0}, link = {0}, version = {0};

	buf_addf(&name, "%s/layer.tar", id);
	buf_addf(&link, "../%s.tar", diff_id);
	put_header(a, name.data, 0, link.data);
	buf_clear(&name);
	buf_addf(&name, "%s/VERSION", id);
	buf_addstr(&version, "1.0");
	put_text(a, name.data, &version);
	buf_clear(&name);
	buf_addf(&name, "%s/json", id);
	put_text(a, name.data, json);
	buf_release(&name);
	buf_release(&link);
	buf_release(&version);
}

/*
 * Replaces `chain` by the chain ID of a layer on top of it (OCI image specification,
 * config.md).
 */
static void chain_on(char chain[DIGEST_HEX + 1], const char *diff_id)
{
	struct buf text = {0};

	if (*chain == '\0') {
		memcpy(chain, diff_id, DIGEST_HEX + 1);
		return;
	}
	buf_addf(&text, "sha256:%s sha256:%s", chain, diff_id);
	digest_of(text.data, text.len, chain);
	buf_release(&text);
}

/* Writes the directories of all layers. `top` becomes the ID of the top layer, or "". */
static int put_directories(struct dockerarchive *a, const struct dockerarchive_image *im,
			   char top[DIGEST_HEX + 1], struct err *e)
{
	char chain[DIGEST_HEX + 1] = "", id[DIGEST_HEX + 1] = "";
	struct buf json = {0};
	int result = 0;

	*top = '\0';
	for (size_t i = 0; i < im->n && result == 0; i++) {
		const struct buf *config = i == im->n - 1 ? im->config : NULL;
		const char *parent = *top != '\0' ? top : NULL;
		chain_on(chain, im->diff_id[i]);
		result = legacy(&json, config, chain, NULL, parent, e);
		if (result == 0) {
			digest_of(json.data, json.len, id);
			result = legacy(&json, config, NULL, id, parent, e);
		}
		if (result == 0)
			put_legacy(a, id, im->diff_id[i], &json);
		memcpy(top, id, sizeof id);
	}
	buf_release(&json);
	return result;
}

int dockerarchive_documents(struct dockerarchive *a, const struct dockerarchive_image *im,
			    struct err *e)
{
	char hex[DIGEST_HEX + 1], top[DIGEST_HEX + 1];
	struct buf name = {0}, text = {0};

	digest_of(im->config->data, im->config->len, hex);
	buf_addf(&name, "%s.json", hex);
	put_text(a, name.data, im->config);
	buf_release(&name);
	if (put_directories(a, im, top, e) < 0)
		return -1;
	buf_addf(&text, "[{\"Config\":\"%s.json\",\"RepoTags\":[\"%s:%s\"],\"Layers\":[",
		 hex, im->name, im->tag);
	for (size_t i = 0; i < im->n; i++)
		buf_addf(&text, "%s\"%s.tar\"", i > 0 ? "," : "", im->diff_id[i]);
	buf_addstr(&text, "]}]");
	put_text(a, "manifest.json", &text);
	buf_clear(&text);
	if (*top != '\0')
		buf_addf(&text, "{\"%s\":{\"%s\":\"%s\"}}", im->name, im->tag, top);
	else
		buf_addstr(&text, "{}");
	put_text(a, "repositories", &text);
	buf_release(&text);
	return 0;
}

void dockerarchive_hex(struct dockerarchive *a, char hex[DIGEST_HEX + 1])
{
	digest_update(&a->digest, mark, sizeof mark);
	digest_hex(&a->digest, hex);
	a->is_hashed = false;
}

void dockerarchive_end(struct dockerarchive *a)
{
	put(a, mark, sizeof mark);
}
