#include "archive/xattrs.h"

#include "base/mem.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

static const char key[] = XATTRS_KEY;

/*
 * Parses the length of a record, and sets *digits to the offset of its key. Returns false
 * if the record is malformed.
 */
static bool read_length(const char *p, size_t len, size_t *total, size_t *digits)
{
	size_t n = 0, i = 0;

	for (; i < len && p[i] >= '0' && p[i] <= '9' && n <= len; i++)
		n = n * 10 + (size_t)(p[i] - '0');
	*total = n;
	*digits = i + 1;
	return i < len && p[i] == ' ' && n <= len && n > i + 1 && p[n - 1] == '\n';
}

bool xattrs_next(const char **p, size_t *len, struct xattr *x)
{
	size_t total, at;

	while (*len > 0 && read_length(*p, *len, &total, &at)) {
		const char *record = *p + at, *end = *p + total - 1;
		const char *equals = memchr(record, '=', (size_t)(end - record));
		*p += total;
		*len -= total;
		size_t name = equals != NULL ? (size_t)(equals - record) : 0;
		if (name <= sizeof key - 1 || memcmp(record, key, sizeof key - 1) != 0)
			continue;
		name -= sizeof key - 1;
		if (name >= sizeof x->name ||
		    memchr(record + sizeof key - 1, '\0', name) != NULL)
			continue;
		memcpy(x->name, record + sizeof key - 1, name);
		x->name[name] = '\0';
		x->value = equals + 1;
		x->len = (size_t)(end - x->value);
		return true;
	}
	return false;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int read_one(const char *path, const char *name,
		    int (*each)(void *arg, const struct xattr *x), void *arg)
{
	static _Thread_local char value[XATTR_SIZE_MAX];
	struct xattr x = {.value = value};
	ssize_t len = lgetxattr(path, name, value, sizeof value);

	if (len < 0)
		return -1;
	snprintf(x.name, sizeof x.name, "%s", name);
	x.len = (size_t)len;
	return each(arg, &x);
}

int xattrs_read(const char *path, int (*each)(void *arg, const struct xattr *x),
		void *arg)
{
	static _Thread_local char list[XATTR_LIST_MAX];
	ssize_t len = llistxattr(path, list, sizeof list);
	size_t n = 0;
	int result = 0;

	if (len <= 0)
		return len == 0 || errno == ENOTSUP ? 0 : -1;
	const char **name = mem_zero((size_t)len, sizeof *name);
	for (const char *p = list; p < list + len; p += strlen(p) + 1)
		name[n++] = p;
	qsort(name, n, sizeof *name, compare_names);
	for (size_t i = 0; i < n && result == 0; i++)
		result = read_one(path, name[i], each, arg);
	free(name);
	return result;
}

bool xattrs_is_own(const char *name)
{
	return strcmp(name, "security.capability") == 0 ||
	       strncmp(name, "system.posix_acl_", 17) == 0 ||
	       (strncmp(name, "security.", 9) != 0 && strncmp(name, "system.", 7) != 0 &&
		!xattrs_is_overlay(name));
}

bool xattrs_is_overlay(const char *name)
{
	return strncmp(name, "trusted.overlay.", 16) == 0 ||
	       strncmp(name, "user.overlay.", 13) == 0;
}
