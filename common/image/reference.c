#include "image/reference.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

enum { NAME_MAX_LEN = 255, TAG_MAX_LEN = 128 };

/* Letters and digits in groups, separated by '.', '_', '__' or any number of '-'. */
static bool is_component(const char *s, size_t len)
{
	const char *end = s + len;

	for (;;) {
		size_t n = strspn(s, LOWER DIGIT);
		if (n == 0 || s + n > end)
			return false;
		s += n;
		if (s == end)
			return true;
		if (*s == '-')
			s += strspn(s, "-");
		else if (strncmp(s, "__", 2) == 0)
			s += 2;
		else if (*s == '.' || *s == '_')
			s += 1;
		else
			return false;
	}
}

/*
 * Whether the first component of a name is a registry's host. Docker decides in this way.
 */
static bool is_host(const char *s, size_t len)
{
	bool dotted = memchr(s, '.', len) != NULL || memchr(s, ':', len) != NULL;

	return dotted || (len == 9 && strncmp(s, "localhost", 9) == 0);
}

/* Labels separated by dots, without a dash at either end, and optionally a port. */
static bool is_well_formed_host(const char *s, size_t len)
{
	const char *end = s + len;

	for (;;) {
		size_t n = strspn(s, LOWER DIGIT "-");
		if (n == 0 || s[0] == '-' || s[n - 1] == '-')
			return false;
		s += n;
		if (*s != '.')
			break;
		s++;
	}
	if (*s == ':') {
		size_t digits = strspn(s + 1, DIGIT);
		return digits > 0 && s + 1 + digits == end;
	}
	return s == end;
}

/* Docker interprets 64 hex digits as an image ID. */
static bool is_like_id(const char *name)
{
	return strspn(name, "0123456789abcdef") == 64 && name[64] == '\0';
}

int reference_check_name(const char *name, struct err *e)
{
	const char *slash = strchr(name, '/'), *p = name;
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_LEN)
		return err_set(e, "an image name has 1 to %d characters: '%s'",
			       NAME_MAX_LEN, name);
	if (is_like_id(name))
		return err_set(e, "'%s' looks like an image ID, not like a name", name);
	if (slash != NULL && is_host(name, (size_t)(slash - name))) {
		if (!is_well_formed_host(name, (size_t)(slash - name)))
			return err_set(
			    e, "'%s' does not begin with a registry's HOST or HOST:PORT",
			    name);
		p = slash + 1;
	}
	for (;;) {
		size_t n = strcspn(p, "/");
		if (!is_component(p, n))
			return err_set(
			    e,
			    "'%s' is not an image name: use lower-case letters and "
			    "digits, with . _ - and / between them",
			    name);
		if (p[n] == '\0')
			return 0;
		p += n + 1;
	}
}

int reference_check_tag(const char *tag, struct err *e)
{
	size_t n = strspn(tag, LOWER UPPER DIGIT "_.-");

	if (n == 0 || n > TAG_MAX_LEN || tag[n] != '\0' || *tag == '.' || *tag == '-')
		return err_set(
		    e, "'%s' is not a tag: use 1 to %d letters, digits, _ . and -", tag,
		    TAG_MAX_LEN);
	return 0;
}

char *reference_name_option(const char *value)
{
	char *name = mem_strdup(value);
	struct err why;

	for (char *p = name; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	if (reference_check_name(name, &why) < 0)
		die_usage("--name: %s", why.text);
	return name;
}

const char *reference_tag_option(const char *value)
{
	struct err why;

	if (reference_check_tag(value, &why) < 0)
		die_usage("--tag: %s", why.text);
	return value;
}

void reference_full_name(const char *name, struct buf *out)
{
	static const char *const hub[] = {"docker.io/", "index.docker.io/"};
	bool has_host = false;

	for (size_t i = 0; i < sizeof hub / sizeof *hub && !has_host; i++)
		if (strncmp(name, hub[i], strlen(hub[i])) == 0) {
			name += strlen(hub[i]);
			has_host = true;
		}
	const char *slash = strchr(name, '/');
	if (slash == NULL)
		buf_addstr(out, "docker.io/library/");
	else if (has_host || !is_host(name, (size_t)(slash - name)))
		buf_addstr(out, "docker.io/");
	buf_addstr(out, name);
}

/* Copies the name that `reference` begins with. Returns its tag, or "latest". */
static const char *take_name(const char *reference, struct buf *name)
{
	const char *slash = strrchr(reference, '/');
	const char *colon = strrchr(slash != NULL ? slash : reference, ':');

	buf_clear(name);
	buf_add(name, reference,
		colon != NULL ? (size_t)(colon - reference) : strlen(reference));
	return colon != NULL ? colon + 1 : "latest";
}

int reference_split(const char *reference, struct buf *name, const char **tag,
		    struct err *e)
{
	*tag = take_name(reference, name);
	if (reference_check_name(name->data, e) < 0)
		return -1;
	return reference_check_tag(*tag, e);
}

bool reference_matches(const char *reference, const char *name, const char *tag)
{
	struct buf have = {0}, have_full = {0}, want_full = {0};
	const char *have_tag = take_name(reference, &have);
	bool same = tag == NULL || strcmp(have_tag, tag) == 0;

	if (same && name != NULL) {
		reference_full_name(have.data, &have_full);
		reference_full_name(name, &want_full);
		same = strcmp(have_full.data, want_full.data) == 0;
	}
	buf_release(&have);
	buf_release(&have_full);
	buf_release(&want_full);
	return same;
}

static int parse_parts(struct reference *r, const char *name, const char *digest,
		       struct err *e)
{
	const char *hex = digest != NULL ? digest_strip(digest) : "";
	struct buf full = {0};

	if (hex == NULL)
		return err_set(e, "'%s' is not sha256: and 64 lower-case hex digits",
			       digest);
	if (digest != NULL && r->tag != NULL)
		return err_set(e,
			       "an image is named by a tag or by a digest, not by both");
	memcpy(r->digest, hex, strlen(hex) + 1);
	if (reference_check_name(name, e) < 0 ||
	    (r->tag != NULL && reference_check_tag(r->tag, e) < 0))
		return -1;
	reference_full_name(name, &full);
	r->name = full.data;
	/* Specification: the limit is for the host and the path together. */
	if (full.len > NAME_MAX_LEN)
		return err_set(e, "an image name has up to %d characters: '%s'",
			       NAME_MAX_LEN, r->name);
	const char *slash = strchr(r->name, '/');
	r->host = mem_strndup(r->name, (size_t)(slash - r->name));
	r->path = mem_strdup(slash + 1);
	return 0;
}

int reference_parse(struct reference *r, const char *text, struct err *e)
{
	const char *at = strchr(text, '@');
	char *name =
	    at != NULL ? mem_strndup(text, (size_t)(at - text)) : mem_strdup(text);
	char *slash = strrchr(name, '/');
	char *colon = strrchr(slash != NULL ? slash : name, ':');

	*r = (struct reference){0};
	if (colon != NULL) {
		*colon = '\0';
		r->tag = mem_strdup(colon + 1);
	}
	int result = parse_parts(r, name, at != NULL ? at + 1 : NULL, e);
	free(name);
	return result;
}

void reference_release(struct reference *r)
{
	free(r->name);
	free(r->host);
	free(r->path);
	free(r->tag);
	*r = (struct reference){0};
}
