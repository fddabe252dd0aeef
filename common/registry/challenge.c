#include "registry/challenge.h"

#include "base/buf.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * The characters of a token (RFC 9110, 5.6.2) and of a token68. Schemes that use token68
 * are ignored.
 */
#define TOKEN                         \
	"!#$%&'*+-.^_`|~0123456789/:" \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static const char *skip(const char *p, const char *what)
{
	return p + strspn(p, what);
}

/* Reads a token or a quoted string. Returns the position after it. */
static const char *read_value(const char *p, struct buf *out)
{
	buf_clear(out);
	if (*p != '"') {
		size_t n = strspn(p, TOKEN);
		buf_add(out, p, n);
		return p + n;
	}
	for (p++; *p != '"' && *p != '\0' && *p != '\n'; p++) {
		if (*p == '\\' && p[1] != '\0' && p[1] != '\n')
			p++;
		buf_addch(out, *p);
	}
	return *p == '"' ? p + 1 : p;
}

static void keep(char **where, const char *name, const char *want, const struct buf *b)
{
	if (strcasecmp(name, want) == 0 && *where == NULL && b->len > 0)
		*where = mem_strdup(b->data);
}

void challenge_parse(struct challenge *c, const char *p)
{
	struct buf word = {0}, value = {0};
	bool is_first = false;

	for (;;) {
		p = skip(p, " \t,\n");
		if (*p == '\0')
			break;
		size_t n = strspn(p, TOKEN);
		buf_clear(&word);
		buf_add(&word, p, n);
		p = skip(p + n, " \t");
		if (n == 0) {
			p++; /* not a challenge: continue behind it */
		} else if (*p == '=') {
			p = read_value(skip(p + 1, " \t"), &value);
			if (is_first) {
				keep(&c->realm, word.data, "realm", &value);
				keep(&c->service, word.data, "service", &value);
			}
		} else {
			bool is_bearer = strcasecmp(word.data, "Bearer") == 0;
			is_first = is_bearer && !c->has_bearer;
			c->has_bearer = c->has_bearer || is_bearer;
			c->has_basic =
			    c->has_basic || strcasecmp(word.data, "Basic") == 0;
		}
	}
	buf_release(&word);
	buf_release(&value);
}

void challenge_release(struct challenge *c)
{
	free(c->realm);
	free(c->service);
	*c = (struct challenge){0};
}
