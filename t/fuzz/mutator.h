/*
 * mutator: mutate tar archives so that they remain tar archives.
 *
 * A random change of a tar breaks the checksum of a header, and every reader stops there.
 * A fuzzer that includes this file changes fields, contents, pax records and the order of
 * members instead. Checksums, sizes and the lengths of pax records are repaired after
 *each change. Archives within archives, which are the layers of an image, are treated
 *alike. A small part of the changes is not repaired, so that damaged headers are tested,
 *too.
 *
 *	#include "mutator.h"
 */
#ifndef DT_FUZZ_TAR_MUTATOR_H
#define DT_FUZZ_TAR_MUTATOR_H

#include "archive/tar.h"
#include "base/buf.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TAR_SIZE = 124,
	TAR_SIZE_LEN = 12,
	TAR_CHECKSUM = 148,
	TAR_TYPE = 156,
	TAR_MAGIC = 257,
	TAR_GROWTH = 4096, /* by which a change may lengthen the contents of a member */
	TAR_DEPTH = 3,     /* archives within archives */
};

/* libFuzzer has it; fuzz-main, which does not mutate, has none. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
    __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
			       unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data, size_t size, const uint8_t *other,
				 size_t other_size, uint8_t *out, size_t max_out,
				 unsigned seed);

/* A header, its contents and their padding; or blocks of zeros, which have no header. */
struct tar_part {
	const char *at;
	size_t size; /* contents in bytes */
	size_t len;  /* all bytes */
	bool has_header;
};

struct tar_parts {
	struct tar_part *part;
	size_t n, cap;
};

static inline size_t tar_random(unsigned *seed, size_t below)
{
	return below > 0 ? (size_t)rand_r(seed) % below : 0;
}

static inline bool tar_is_zero(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != '\0')
			return false;
	return true;
}

/* Whether contents follow a header of this type. */
static inline bool tar_has_contents(char type)
{
	return type == '\0' || memchr("07xgXLKSV", type, 9) != NULL;
}

static inline uint64_t tar_size(const char *header)
{
	char digits[TAR_SIZE_LEN + 1] = {0};

	memcpy(digits, header + TAR_SIZE, TAR_SIZE_LEN);
	return strtoull(digits, NULL, 8);
}

static inline bool tar_is_archive(const char *p, size_t len)
{
	return len >= TAR_BLOCK && memcmp(p + TAR_MAGIC, "ustar", 5) == 0;
}

static inline void tar_split(struct tar_parts *parts, const char *data, size_t len)
{
	for (const char *p = data, *end = data + len; p < end;) {
		size_t left = (size_t)(end - p);
		struct tar_part part = {.at = p, .len = left};
		if (left >= TAR_BLOCK && !tar_is_zero(p, TAR_BLOCK)) {
			size_t room = left - TAR_BLOCK;
			uint64_t size = tar_has_contents(p[TAR_TYPE]) ? tar_size(p) : 0;
			part.has_header = true;
			part.size = size < room ? (size_t)size : room;
			part.len = TAR_BLOCK + part.size + tar_padding(part.size);
			part.len = part.len < left ? part.len : left;
		} else if (left >= TAR_BLOCK) {
			part.len = TAR_BLOCK;
			while (left - part.len >= TAR_BLOCK &&
			       tar_is_zero(p + part.len, TAR_BLOCK))
				part.len += TAR_BLOCK;
		}
		parts->part =
		    mem_grow(parts->part, &parts->cap, parts->n + 1, sizeof *parts->part);
		parts->part[parts->n++] = part;
		p += part.len;
	}
}

/* --- repairs --- */

static inline void tar_repair_checksum(char *header)
{
	unsigned sum = 0;
	char digits[9];

	memset(header + TAR_CHECKSUM, ' ', 8);
	for (int i = 0; i < TAR_BLOCK; i++)
		sum += (unsigned char)header[i];
	snprintf(digits, sizeof digits, "%06o", sum);
	memcpy(header + TAR_CHECKSUM, digits, 7);
}

static inline void tar_repair_size(char *header, size_t size)
{
	char digits[TAR_SIZE_LEN + 1];

	snprintf(digits, sizeof digits, "%011zo", size);
	memcpy(header + TAR_SIZE, digits, TAR_SIZE_LEN);
}

/* Appends the records with lengths that match. Text that is no record is left as it is.
 */
static inline void tar_repair_records(struct buf *out, const char *p, size_t len)
{
	const char *end = p + len;

	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p)), *text = p;
		const char *next = newline != NULL ? newline + 1 : end;
		size_t claimed = 0;
		while (text < next && *text >= '0' && *text <= '9' && claimed < len)
			claimed = claimed * 10 + (size_t)(*text++ - '0');
		/* The value of a record may contain newlines. */
		if (claimed > (size_t)(next - p) && claimed <= (size_t)(end - p) &&
		    p[claimed - 1] == '\n')
			next = p + claimed;
		const char *key = text < next && *text == ' ' ? text + 1 : text;
		size_t rest = (size_t)(next - key) + 1, total = rest + 1;
		while (snprintf(NULL, 0, "%zu", total) + (int)rest != (int)total)
			total++;
		buf_addf(out, "%zu ", total);
		buf_add(out, key, rest - 1);
		p = next;
	}
}

static inline bool tar_is_records(const struct tar_part *part)
{
	return part->has_header && memchr("xg", part->at[TAR_TYPE], 2) != NULL;
}

/* Appends the member with other contents. */
static inline void tar_put(struct buf *out, const char *header, const void *contents,
			   size_t size)
{
	static const char zeros[TAR_BLOCK];
	size_t at = out->len;

	buf_add(out, header, TAR_BLOCK);
	buf_add(out, contents, size);
	buf_add(out, zeros, tar_padding(size));
	tar_repair_size(out->data + at, size);
	tar_repair_checksum(out->data + at);
}

/* Appends the archive with checksums that match, also in the archives that it contains.
 */
static inline void tar_repair(struct buf *out, const char *data, size_t len, int depth)
{
	struct tar_parts parts = {0};

	tar_split(&parts, data, len);
	for (size_t i = 0; i < parts.n; i++) {
		const struct tar_part *part = &parts.part[i];
		const char *contents = part->at + TAR_BLOCK;
		size_t at = out->len;
		if (part->has_header && depth < TAR_DEPTH &&
		    tar_is_archive(contents, part->size)) {
			buf_add(out, part->at, TAR_BLOCK);
			tar_repair(out, contents, part->size, depth + 1);
			buf_add(out, contents + part->size,
				part->len - TAR_BLOCK - part->size);
		} else {
			buf_add(out, part->at, part->len);
		}
		if (part->has_header)
			tar_repair_checksum(out->data + at);
	}
	free(parts.part);
}

/* --- changes --- */

static inline void tar_change(struct buf *out, const char *data, size_t len,
			      unsigned *seed, int depth);

/* Changes a field of the header. */
static inline void tar_change_header(struct buf *out, const struct tar_part *part,
				     unsigned *seed)
{
	static const struct {
		uint16_t at, len;
	} fields[] = {
	    {0, 100},   {100, 8}, {108, 8}, {116, 8}, {124, 12},  {136, 12},  {156, 1},
	    {157, 100}, {257, 8}, {329, 8}, {337, 8}, {345, 155}, {386, 126},
	};
	static const char types[] = "0123456775xgLKSVXAD";
	static const char *const names[] = {
	    "a",          "a/b",          ".wh.a",         ".wh..wh..opq",
	    "a/.wh.b",    "../a",         "./a",           "manifest.json",
	    "index.json", "oci-layout",   "blobs/sha256/", "a/b/../c",
	    "/",          ".wh..wh.plnk",
	};
	char header[TAR_BLOCK];
	size_t way = tar_random(seed, 8);

	memcpy(header, part->at, TAR_BLOCK);
	if (way == 0) {
		header[TAR_TYPE] = types[tar_random(seed, sizeof types - 1)];
	} else if (way == 1) {
		size_t at = tar_random(seed, 3) > 0 ? 0 : 157;
		memset(header + at, 0, 100);
		snprintf(header + at, 100, "%s",
			 names[tar_random(seed, sizeof names / sizeof *names)]);
	} else {
		size_t i = tar_random(seed, sizeof fields / sizeof *fields);
		(void)LLVMFuzzerMutate((uint8_t *)header + fields[i].at, fields[i].len,
				       fields[i].len);
	}
	tar_repair_checksum(header);
	buf_add(out, header, TAR_BLOCK);
	buf_add(out, part->at + TAR_BLOCK, part->len - TAR_BLOCK);
}

/* Changes the contents of the member, and its size with them. */
static inline void tar_change_contents(struct buf *out, const struct tar_part *part,
				       unsigned *seed, int depth)
{
	const char *contents = part->at + TAR_BLOCK;
	struct buf changed = {0}, records = {0};

	if (depth < TAR_DEPTH && tar_is_archive(contents, part->size) &&
	    tar_random(seed, 8) > 0) {
		tar_change(&changed, contents, part->size, seed, depth + 1);
	} else {
		uint8_t *room = (uint8_t *)buf_reserve(&changed, part->size + TAR_GROWTH);
		if (part->size > 0)
			memcpy(room, contents, part->size);
		changed.len = LLVMFuzzerMutate(room, part->size, part->size + TAR_GROWTH);
	}
	if (tar_is_records(part) && tar_random(seed, 16) > 0) {
		tar_repair_records(&records, changed.data, changed.len);
		tar_put(out, part->at, records.data, records.len);
	} else {
		tar_put(out, part->at, changed.data, changed.len);
	}
	buf_release(&changed);
	buf_release(&records);
}

/* Adds an extended header in front of the member. */
static inline void tar_add_record(struct buf *out, unsigned *seed)
{
	static const struct {
		const char *key, *value;
	} records[] = {
	    {"path", "a/b"},
	    {"linkpath", "a"},
	    {"size", "1"},
	    {"uid", "3000000"},
	    {"gid", "0"},
	    {"mtime", "-1.5"},
	    {"comment", "{}"},
	    {"hdrcharset", "BINARY"},
	    {"GNU.sparse.major", "1"},
	    {"GNU.sparse.minor", "0"},
	    {"GNU.sparse.name", "a"},
	    {"GNU.sparse.realsize", "4096"},
	    {"GNU.sparse.map", "0,1,9,1"},
	    {"GNU.sparse.size", "9"},
	    {"GNU.sparse.numblocks", "1"},
	    {"SCHILY.xattr.user.a", "x"},
	    {"SCHILY.realsize", "9"},
	    {"LIBARCHIVE.xattr.user.a", "eA"},
	    {"SCHILY.devmajor", "1"},
	    {"SCHILY.acl.access", "user::rwx"},
	    {"path", ".wh..wh..opq"},
	};
	size_t i = tar_random(seed, sizeof records / sizeof *records);
	char header[TAR_BLOCK] = {0};
	struct buf text = {0};

	memcpy(header, "PaxHeaders/x", 12);
	memcpy(header + TAR_MAGIC, "ustar\00000", 8);
	header[TAR_TYPE] = tar_random(seed, 6) > 0 ? 'x' : 'g';
	tar_record(&text, records[i].key, records[i].value, strlen(records[i].value));
	tar_put(out, header, text.data, text.len);
	buf_release(&text);
}

/* A part that has a header, if there is one. */
static inline size_t tar_choose(const struct tar_parts *parts, unsigned *seed)
{
	size_t first = tar_random(seed, parts->n), i = first;

	while (!parts->part[i].has_header && (i = (i + 1) % parts->n) != first)
		;
	return i;
}

/* Appends the archive with one change. */
static inline void tar_change(struct buf *out, const char *data, size_t len,
			      unsigned *seed, int depth)
{
	struct tar_parts parts = {0};

	tar_split(&parts, data, len);
	size_t chosen = tar_choose(&parts, seed), way = tar_random(seed, 16);
	const struct tar_part *other = &parts.part[tar_choose(&parts, seed)];
	for (size_t i = 0; i < parts.n; i++) {
		const struct tar_part *part = &parts.part[i];
		if (i != chosen || !part->has_header) {
			buf_add(out, part->at, part->len);
		} else if (way < 4) {
			tar_change_header(out, part, seed);
		} else if (way < 11) {
			tar_change_contents(out, part, seed, depth);
		} else if (way == 11) { /* the member is missing */
		} else if (way == 12) {
			buf_add(out, part->at, part->len);
			buf_add(out, other->at, other->len);
		} else if (way == 13) {
			buf_add(out, other->at, other->len);
		} else {
			tar_add_record(out, seed);
			buf_add(out, part->at, part->len);
		}
	}
	free(parts.part);
}

static inline size_t tar_take(struct buf *b, uint8_t *to, size_t max_size)
{
	size_t n = b->len < max_size ? b->len : max_size;

	if (n > 0)
		memcpy(to, b->data, n);
	buf_release(b);
	return n;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	struct buf changed = {0}, repaired = {0};
	unsigned state = seed;
	size_t way = tar_random(&state, 32);

	if (way == 0 || !tar_is_archive((const char *)data, size))
		return LLVMFuzzerMutate(data, size, max_size);
	if (way < 4) {
		size = LLVMFuzzerMutate(data, size, max_size);
		tar_repair(&repaired, (const char *)data, size, 0);
		return tar_take(&repaired, data, max_size);
	}
	for (size_t n = 1 + tar_random(&state, 3); n > 0 && size > 0; n--) {
		tar_change(&changed, (const char *)data, size, &state, 0);
		size = tar_take(&changed, data, max_size);
	}
	return size;
}

/* Appends some members of the other archive to some of the first one. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data, size_t size, const uint8_t *other,
				 size_t other_size, uint8_t *out, size_t max_out,
				 unsigned seed)
{
	struct tar_parts a = {0}, b = {0};
	struct buf made = {0};
	unsigned state = seed;

	tar_split(&a, (const char *)data, size);
	tar_split(&b, (const char *)other, other_size);
	size_t first = tar_random(&state, a.n), from = tar_random(&state, b.n);
	for (size_t i = 0; i < first; i++)
		buf_add(&made, a.part[i].at, a.part[i].len);
	for (size_t i = from; i < b.n && tar_random(&state, 4) > 0; i++)
		buf_add(&made, b.part[i].at, b.part[i].len);
	for (size_t i = first; i < a.n; i++)
		buf_add(&made, a.part[i].at, a.part[i].len);
	free(a.part);
	free(b.part);
	return tar_take(&made, out, max_out);
}

#endif
