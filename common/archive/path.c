#include "archive/path.h"

#include "base/buf.h"

#include <string.h>

/* Appends the components of `name` to the canonical path in `out`. */
static void append(const char *name, struct buf *out)
{
	for (const char *p = name; *p != '\0';) {
		size_t n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			const char *cut = memrchr(out->data, '/', out->len);
			out->len = cut != NULL ? (size_t)(cut - out->data) : 0;
			out->data[out->len] = '\0';
		} else if (n > 0 && !(n == 1 && p[0] == '.')) {
			if (out->len > 0)
				buf_addch(out, '/');
			buf_add(out, p, n);
		}
		p += n + (p[n] == '/');
	}
}

void path_clean(const char *name, struct buf *out)
{
	buf_clear(out);
	buf_addstr(out, "");
	append(name, out);
}

void path_target(const char *link, const char *target, struct buf *out)
{
	path_clean(link, out);
	append("..", out);
	if (target[0] == '/')
		path_clean("", out);
	append(target, out);
}

bool path_is_in(const char *path, const char *directory)
{
	size_t len = strlen(directory);

	return len == 0 || (strncmp(path, directory, len) == 0 &&
			    (path[len] == '/' || path[len] == '\0'));
}
