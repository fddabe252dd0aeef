#include "xattrs.h"

#include <string.h>

static const char key[] = "SCHILY.xattr.";

/* The length that a record begins with and where its key begins, or false. */
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
		if (name >= sizeof x->name)
			continue;
		memcpy(x->name, record + sizeof key - 1, name);
		x->name[name] = '\0';
		x->value = equals + 1;
		x->len = (size_t)(end - x->value);
		return true;
	}
	return false;
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
