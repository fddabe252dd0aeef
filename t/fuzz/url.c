/*
 * URLs that registries send. The input is the URL of a request and, on the next line, a
 * reference in its response. An accepted URL has one origin, however often it is joined
 * and split, and a relative reference stays at the origin of the request.
 */
#include "registry/http.h"

#include "base/err.h"
#include "base/mem.h"

#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No byte could end a line of a request, or be a part of another header. */
static void check_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			abort();
}

static bool has_origin(const char *url, struct http_origin *o)
{
	struct err e;

	return http_origin(o, url, &e) == 0;
}

/* "https://host:port" is an origin itself. */
static void check_origin(const struct http_origin *o)
{
	struct http_origin again;
	const char *prefix = o->is_secure ? "https://" : "http://";
	size_t len = strlen(prefix);

	check_printable(o->text);
	if (strncmp(o->text, prefix, len) != 0 || o->host[0] == '\0' ||
	    strpbrk(o->text + len, "/?#@\\") != NULL)
		abort();
	if (!has_origin(o->text, &again) || strcmp(o->text, again.text) != 0 ||
	    o->is_secure != again.is_secure ||
	    http_place_of(o->host) != http_place_of(again.host))
		abort();
}

/* A URL that is absolute already stays as it is, wherever it is found. */
static void check_absolute(const char *base, const char *url)
{
	struct buf again = {0};
	struct http_origin o, joined;

	if (http_resolve(base, url, &again) < 0 || strcmp(url, again.data) != 0)
		abort();
	if (has_origin(url, &o)) {
		check_printable(url);
		check_origin(&o);
		http_add_query(&again, "a=b&c=d");
		if (strchr(again.data, '#') != NULL || !has_origin(again.data, &joined) ||
		    strcmp(o.text, joined.text) != 0 ||
		    strlen(again.data) < strlen("a=b&c=d") ||
		    strcmp(again.data + again.len - strlen("a=b&c=d"), "a=b&c=d") != 0)
			abort();
	}
	buf_release(&again);
}

/* Whether a browser, too, would take the reference for a part of a URL's path. */
static bool is_path(const char *target)
{
	return *target == '/' && target[1] != '/' && target[1] != '\\';
}

static void check_pair(const char *base, const char *target)
{
	struct http_origin from, to;
	struct buf url = {0};

	if (has_origin(base, &from)) {
		check_origin(&from);
		if (http_resolve(base, target, &url) == 0) {
			check_absolute(base, url.data);
			if (is_path(target) && (!has_origin(url.data, &to) ||
						strcmp(from.text, to.text) != 0))
				abort();
		}
	}
	buf_release(&url);
}

/* Decodes the text, which has only unreserved characters and %XX. */
static void check_escape(const char *text)
{
	struct buf out = {0};
	const char *p;

	http_escape(&out, text);
	for (p = out.data != NULL ? out.data : ""; *p != '\0'; text++) {
		unsigned char c = (unsigned char)*p++;
		if (c == '%') {
			char hex[3] = {p[0], p[0] != '\0' ? p[1] : '\0', '\0'}, *end;
			c = (unsigned char)strtoul(hex, &end, 16);
			if (end != hex + 2)
				abort();
			p += 2;
		} else if (!isalnum(c) && strchr("-._~", c) == NULL) {
			abort();
		}
		if (c != (unsigned char)*text)
			abort();
	}
	if (*text != '\0')
		abort();
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_strndup((const char *)data, size), *rest = text;
	const char *base = strsep(&rest, "\n"), *target = rest != NULL ? rest : "";

	check_pair(base, target);
	check_pair("https://registry.example/v2/x/blobs/uploads/", target);
	check_escape(target);
	(void)http_place_of(base);
	free(text);
	return 0;
}
