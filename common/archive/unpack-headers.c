#include "archive/unpack.h"

#include "archive/unpack-private.h"
#include "base/err.h"

#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

/* Offsets of fields in a header. */
enum { SIZE = 124, SIZE_LEN = 12, TYPE = 156 };

bool unpack_is_zero(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != '\0')
			return false;
	return true;
}

/* Types of headers that extend the next header. */
static const char extending[] = {'x', 'g', 'L', 'K', 'X', 'V'};

/* A header of the member, and its data if it extends another header. */
struct header {
	const char *block, *data;
	uint64_t len;
};

/*
 * Returns the number in a field of a header: octal digits, or binary if the highest bit
 * is set.
 */
static uint64_t field_number(const char *field, size_t len)
{
	uint64_t n = 0;
	char digits[32] = {0};

	if ((field[0] & 0x80) == 0) {
		memcpy(digits, field, len);
		return strtoull(digits, NULL, 8);
	}
	for (size_t i = 1; i < len; i++)
		n = n << 8 | (unsigned char)field[i];
	return n;
}

/*
 * Finds the next header in the blocks since the last contents. libarchive has checked
 * that these are well-formed. *p must start as s->headers.data. The last header is the
 * member's own and extends no other header.
 */
static bool next_header(const struct unpack_stream *s, const char **p, struct header *h)
{
	const char *end = s->headers.data + s->headers.len;

	while (end - *p >= TAR_BLOCK && unpack_is_zero(*p, TAR_BLOCK))
		*p += TAR_BLOCK;
	if (end - *p < TAR_BLOCK)
		return false;
	*h = (struct header){.block = *p, .data = *p + TAR_BLOCK};
	if (memchr(extending, h->block[TYPE], sizeof extending) != NULL)
		h->len = field_number(h->block + SIZE, SIZE_LEN);
	if (h->len > (uint64_t)(end - h->data))
		return false;
	*p = h->data + h->len + tar_padding(h->len);
	return true;
}

int unpack_find_records(const struct unpack_stream *s, struct unpack_member *m,
			struct err *e)
{
	const char *p = s->headers.data;
	struct header h;

	m->records = "";
	m->records_len = 0;
	while (next_header(s, &p, &h)) {
		if (h.block[TYPE] != 'x' && h.block[TYPE] != 'g')
			continue;
		if (unpack_check_records(h.data, (size_t)h.len, e) < 0)
			return err_prefix(e, "%s: a malformed pax record of %s", s->what,
					  m->name != NULL ? m->name : "a member");
		if (h.block[TYPE] == 'g')
			continue;
		m->records = h.data;
		m->records_len = (size_t)h.len;
	}
	return 0;
}

const char *unpack_own_header(const struct unpack_stream *s)
{
	const char *p = s->headers.data;
	struct header h;

	while (next_header(s, &p, &h))
		if (memchr(extending, h.block[TYPE], sizeof extending) == NULL)
			return h.block;
	return NULL;
}

/* libarchive alone does not report every such file, so the headers are examined, too. */
bool unpack_is_sparse(const struct unpack_stream *s)
{
	const char *header = unpack_own_header(s), *records = s->member.records;
	size_t len = s->member.records_len;

	return archive_entry_sparse_count(s->entry) > 0 || header == NULL ||
	       header[TYPE] == 'S' || memmem(records, len, "GNU.sparse.", 11) != NULL ||
	       memmem(records, len, "SCHILY.realsize=", 16) != NULL;
}
