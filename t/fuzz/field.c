/* Header fields that registries send: each line of the input is the value of all of them.
 */
#include "registry/field.h"

#include "base/err.h"
#include "base/mem.h"
#include "registry/http.h"

#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_numbers(const char *value)
{
	uint64_t n, kept, first;
	bool is_number = field_number(value, &n);

	if (is_number && n > INT64_MAX)
		abort();
	if (field_kept(value, &kept) &&
	    (is_number || kept == 1 || kept > (uint64_t)INT64_MAX + 1))
		abort();
	if (field_first(value, &first) && (is_number || first > INT64_MAX))
		abort();
}

static void check_type(const char *value)
{
	char type[FIELD_TYPE];

	field_type(value, type);
	for (const char *c = type; *c != '\0'; c++)
		if (isupper((unsigned char)*c) || *c == ';' ||
		    !isgraph((unsigned char)*c))
			abort();
}

/* A Location becomes a URL, and a query can be added to it. */
static void check_location(const char *value)
{
	struct http_origin o;
	struct buf url = {0};
	struct err e;

	if (http_resolve("https://example.org/v2/x/blobs/uploads/", value, &url) == 0 &&
	    http_origin(&o, url.data, &e) == 0) {
		http_add_query(&url, "digest=x");
		struct http_origin again;
		if (strchr(url.data, '#') != NULL ||
		    strstr(url.data, "digest=x") == NULL ||
		    http_origin(&again, url.data, &e) < 0 ||
		    strcmp(o.text, again.text) != 0)
			abort();
	}
	buf_release(&url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_strndup((const char *)data, size), *rest = text, *line;

	while ((line = strsep(&rest, "\n")) != NULL) {
		check_numbers(line);
		check_type(line);
		check_location(line);
	}
	free(text);
	return 0;
}
