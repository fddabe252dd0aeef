#include "store/store.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_directory(const char *root, const char *dir)
{
	struct buf path = {0};
	struct stat st;

	buf_addf(&path, "%s%s", root, dir);
	if (io_stat(path.data, &st) < 0)
		die_errno("--store %s: %s", root, path.data);
	buf_release(&path);
	return S_ISDIR(st.st_mode);
}

void store_init(struct store *s, const char *dir)
{
	static const char *const known[] = {"/nix/store", "/gnu/store"};

	*s = (struct store){0};
	if (dir == NULL) {
		s->root = mem_strdup("");
		return;
	}
	char *real = realpath(dir, NULL);
	if (real == NULL)
		die_errno("--store %s", dir);
	if (!is_directory(real, ""))
		die("--store %s: not a directory", dir);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (is_directory(real, known[i])) {
			s->root =
			    strcmp(real, "/") == 0 ? mem_strdup("") : mem_strdup(real);
			s->dir = mem_strdup(known[i]);
			free(real);
			return;
		}
	}
	s->root = mem_strdup("");
	s->dir = real;
}

void store_release(struct store *s)
{
	free(s->dir);
	free(s->root);
	*s = (struct store){0};
}

static bool is_hash_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

static bool is_name_char(char c)
{
	return is_hash_char(c) || (c >= 'A' && c <= 'Z') ||
	       (c != '\0' && strchr("+-._?=", c));
}

size_t store_base_len(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && n < STORE_HASH && is_hash_char(s[n]))
		n++;
	if (n < STORE_HASH || n == len || s[n] != '-')
		return 0;
	while (n < len && n < STORE_NAME_MAX && is_name_char(s[n]))
		n++;
	return n > STORE_HASH + 1 ? n : 0;
}

const char *store_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
	const char *dash = strchr(base, '-');

	return dash != NULL ? dash + 1 : base;
}

size_t store_adopt(struct store *s, const char *path, size_t len)
{
	if (len == 0 || path[0] != '/')
		return 0;
	if (s->dir != NULL) {
		size_t dir = strlen(s->dir);
		if (len <= dir || strncmp(path, s->dir, dir) != 0 || path[dir] != '/')
			return 0;
		size_t base = store_base_len(path + dir + 1, len - dir - 1);
		size_t end = dir + 1 + base;
		return base != 0 && (end == len || path[end] == '/') ? end : 0;
	}
	for (size_t at = 1; at < len; at++) {
		if (path[at - 1] != '/')
			continue;
		size_t base = store_base_len(path + at, len - at);
		if (base == 0 || at == 1 || (at + base < len && path[at + base] != '/'))
			continue;
		s->dir = mem_strndup(path, at - 1);
		return at + base;
	}
	return 0;
}

int store_check(struct store *s, const char *path, struct err *e)
{
	size_t len = strlen(path), part = store_adopt(s, path, len);

	if (part == len && len != 0)
		return 0;
	if (part != 0)
		return err_set(e, "%s: not a store path but something inside of %.*s",
			       path, (int)part, path);
	return err_set(e, "%s: not a path in the store %s", path,
		       s->dir != NULL ? s->dir : "(DIR/HASH-NAME is expected)");
}

void store_locate(const struct store *s, const char *path, struct buf *out)
{
	buf_clear(out);
	buf_addstr(out, s->root);
	buf_addstr(out, path);
}

void store_mentions(const struct store *s, const char *text, size_t text_len,
		    void (*found)(void *arg, const char *hash, size_t len), void *arg)
{
	struct buf prefix = {0};

	buf_addstr(&prefix, s->dir + 1);
	buf_addch(&prefix, '/');
	for (const char *p = text, *end = text + text_len;;) {
		p = memmem(p, (size_t)(end - p), prefix.data, prefix.len);
		if (p == NULL)
			break;
		p += prefix.len;
		size_t len = store_base_len(p, (size_t)(end - p));
		if (len != 0)
			found(arg, p, len);
	}
	buf_release(&prefix);
}
