/*
 * References of images, as dt-pull and dt-push take them from the command line and
 * archives name their images. An accepted reference is printed in a form that is read as
 * the same image, and has nothing that could change the path of a URL.
 */
#include "image/reference.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Components of a path are not empty, and contain no characters with a meaning in URLs.
 */
static void check_path(const char *path)
{
	if (strspn(path, "abcdefghijklmnopqrstuvwxyz0123456789._-/") != strlen(path))
		abort();
	for (const char *p = path; p != NULL; p = strchr(p, '/')) {
		p += p != path;
		if (*p == '\0' || *p == '/' || *p == '.')
			abort();
	}
}

/* Whether the first component of a name, of `len` bytes, is a host. */
static bool is_host(const char *name, size_t len)
{
	return strcspn(name, ".:") < len ||
	       (len == strlen("localhost") && strncmp(name, "localhost", len) == 0);
}

/* The host is that of the text, or Docker Hub if the text names no host. */
static void check_host(const struct reference *r, const char *text)
{
	size_t len = strcspn(text, "/");
	bool is_hub = text[len] == '\0' || !is_host(text, len) ||
		      strncmp(text, "index.docker.io/", len + 1) == 0;

	if (is_hub ? strcmp(r->host, "docker.io") != 0
		   : strlen(r->host) != len || strncmp(r->host, text, len) != 0)
		abort();
}

/* The full name is read again as the same host and path. */
static void check(const struct reference *r)
{
	struct reference again;
	struct buf text = {0};
	struct err e;

	buf_addf(&text, "%s/%s", r->host, r->path);
	if (strcmp(text.data, r->name) != 0 || strchr(r->host, '/') != NULL)
		abort();
	check_path(r->path);
	if (r->tag != NULL)
		buf_addf(&text, ":%s", r->tag);
	if (r->digest[0] != '\0')
		buf_addf(&text, "@sha256:%s", r->digest);
	if (reference_parse(&again, text.data, &e) < 0 || !is_same(r->host, again.host) ||
	    !is_same(r->path, again.path) || !is_same(r->tag, again.tag) ||
	    strcmp(r->digest, again.digest) != 0)
		abort();
	if (r->tag != NULL && !reference_matches(text.data, r->name, r->tag))
		abort();
	reference_release(&again);
	buf_release(&text);
}

/* A name in an archive has the same full form when it is completed twice. */
static void check_split(const char *text)
{
	struct buf name = {0}, full = {0}, again = {0};
	const char *tag;
	struct err e;

	if (reference_split(text, &name, &tag, &e) == 0) {
		reference_full_name(name.data, &full);
		reference_full_name(full.data, &again);
		if (strcmp(full.data, again.data) != 0 ||
		    !reference_matches(text, full.data, tag) ||
		    !reference_matches(text, name.data, NULL))
			abort();
	}
	buf_release(&name);
	buf_release(&full);
	buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_strndup((const char *)data, size);
	struct reference r;
	struct err e;

	if (reference_parse(&r, text, &e) == 0) {
		check_host(&r, text);
		check(&r);
	}
	reference_release(&r);
	check_split(text);
	free(text);
	return 0;
}
