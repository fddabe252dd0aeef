#include "archive/unpack.h"

#include "base/err.h"
#include "base/num.h"

#include <inttypes.h>
#include <string.h>

/* The form of a value on which all readers agree. */
enum value_kind { TEXT, NUMBER, SIGNED, TIME, NUMBERS };

static const struct {
	const char *key;
	enum value_kind kind;
} known[] = {
    {"path", TEXT},
    {"linkpath", TEXT},
    {"uname", TEXT},
    {"gname", TEXT},
    {"size", NUMBER},
    {"uid", SIGNED},
    {"gid", SIGNED},
    {"mtime", TIME},
    {"atime", TIME},
    {"ctime", TIME},
    {"SCHILY.realsize", NUMBER},
    {"GNU.sparse.major", NUMBER},
    {"GNU.sparse.minor", NUMBER},
    {"GNU.sparse.size", NUMBER},
    {"GNU.sparse.realsize", NUMBER},
    {"GNU.sparse.numblocks", NUMBER},
    {"GNU.sparse.offset", NUMBER},
    {"GNU.sparse.numbytes", NUMBER},
    {"GNU.sparse.map", NUMBERS},
    {"GNU.sparse.name", TEXT},
};

static size_t count_digits(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[n] >= '0' && s[n] <= '9')
		n++;
	return n;
}

static bool is_of_kind(const char *s, size_t len, enum value_kind kind)
{
	if (kind == TEXT)
		return memchr(s, '\0', len) == NULL;
	size_t sign = (kind == SIGNED || kind == TIME) && s[0] == '-';
	size_t digits = count_digits(s + sign, len - sign), at = sign + digits;
	if (digits == 0)
		return false;
	if (kind == TIME && at < len && s[at] == '.')
		at += 1 + count_digits(s + at + 1, len - at - 1);
	while (kind == NUMBERS && at < len && s[at] == ',') {
		digits = count_digits(s + at + 1, len - at - 1);
		if (digits == 0)
			return false;
		at += 1 + digits;
	}
	return at == len;
}

/* An empty value deletes the value of an earlier header, so it is always valid. */
static int check_value(const char *key, size_t key_len, const char *value, size_t len,
		       struct err *e)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strlen(known[i].key) != key_len ||
		    memcmp(known[i].key, key, key_len) != 0)
			continue;
		if (len > 0 && !is_of_kind(value, len, known[i].kind))
			return err_set(e, "'%.*s' is not a valid value of %s",
				       (int)(len < 40 ? len : 40), value, known[i].key);
	}
	return 0;
}

/* Checks the first record and sets *n to its length. */
static int check_first(const char *p, size_t len, uint64_t *n, struct err *e)
{
	size_t digits = count_digits(p, len);

	if (digits == len || p[digits] != ' ' || num_parse(p, digits, UINT64_MAX, n) < 0)
		return err_set(e, "its length is not a number");
	if (*n > len)
		return err_set(
		    e, "its length, %" PRIu64 ", is beyond the end of its header", *n);
	if (*n < digits + 2 || p[*n - 1] != '\n')
		return err_set(e, "no newline where its length, %" PRIu64 ", ends", *n);
	const char *key = p + digits + 1, *end = p + *n - 1;
	const char *equals = memchr(key, '=', (size_t)(end - key));
	if (equals == NULL || equals == key)
		return err_set(e, "it is not KEY=VALUE");
	return check_value(key, (size_t)(equals - key), equals + 1,
			   (size_t)(end - equals - 1), e);
}

int unpack_check_records(const char *records, size_t len, struct err *e)
{
	while (len > 0) {
		uint64_t n;
		if (check_first(records, len, &n, e) < 0)
			return -1;
		records += n;
		len -= (size_t)n;
	}
	return 0;
}

bool unpack_record(const struct unpack_member *m, const char *key, const char **value,
		   size_t *len)
{
	const char *p = m->records, *end = p + m->records_len;
	size_t key_len = strlen(key);
	bool found = false;

	while (p < end) {
		const char *blank = memchr(p, ' ', (size_t)(end - p));
		uint64_t n;
		if (blank == NULL ||
		    num_parse(p, (size_t)(blank - p), (uint64_t)(end - p), &n) < 0)
			break;
		const char *next = p + n, *text = blank + 1;
		if (next - text > (ptrdiff_t)key_len + 1 &&
		    memcmp(text, key, key_len) == 0 && text[key_len] == '=') {
			*value = text + key_len + 1;
			*len = (size_t)(next - 1 - *value);
			found = true;
		}
		if (next <= p)
			break;
		p = next;
	}
	return found;
}
