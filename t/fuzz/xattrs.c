/*
 * Pax records of extended attributes, as a layer has them. Each attribute is one of the
 * records, with its complete name. The attributes are written as records that are read as
 * the same.
 */
#include "archive/xattrs.h"

#include "archive/tar.h"
#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same(const struct xattr *a, const struct xattr *b)
{
	return strcmp(a->name, b->name) == 0 && a->len == b->len &&
	       memcmp(a->value, b->value, a->len) == 0;
}

/* The record of the attribute is in the input, between `from` and `to`. */
static void check_record(const struct xattr *x, const char *from, const char *to)
{
	struct buf key = {0};

	buf_addf(&key, " " XATTRS_KEY "%s=", x->name);
	if (x->name[0] == '\0' || x->value < from + key.len ||
	    x->value + x->len + 1 != to || to[-1] != '\n' ||
	    memcmp(x->value - key.len, key.data, key.len) != 0)
		abort();
	if (xattrs_is_own(x->name) && xattrs_is_overlay(x->name))
		abort();
	buf_release(&key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *from = p;
	size_t len = size;
	struct buf records = {0};
	struct xattr x, again;

	for (; xattrs_next(&p, &len, &x); from = p) {
		check_record(&x, from, p);
		tar_xattr(&records, x.name, x.value, x.len);
	}
	if (len > size || (const uint8_t *)p + len != data + size)
		abort();

	const char *q = records.data;
	size_t left = records.len;
	for (p = (const char *)data, len = size; xattrs_next(&p, &len, &x);)
		if (!xattrs_next(&q, &left, &again) || !is_same(&x, &again))
			abort();
	if (left != 0)
		abort();
	buf_release(&records);
	return 0;
}
